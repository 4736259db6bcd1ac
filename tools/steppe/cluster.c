/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/steppe/cluster.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "proto/names.h"
#include "tools/steppe/complain.h"

static void on_log(void *user, int level, const char *line)
{
	(void)user;
	log_line(level < LOG_ERROR || level > LOG_DEBUG ? LOG_DEBUG : (enum log_level)level, "%s",
		line);
}

enum exit_code cluster_open(struct cluster *c, const struct command_call *call)
{
	char why[512];
	*c = (struct cluster){.verbose = call->verbose};
	int error = config_load(&c->config, call->config, why, sizeof(why));
	if (error == -ENOENT) {
		complain(call, why,
			"steppe pki issue DIR NAME --role ROLE --config-out FILE --cluster "
			"HOST:PORT writes one; "
			"name it with --config or $STEPPE_CONFIG");
		return ENDED_USAGE;
	}
	if (error) {
		complain(call, why, NULL);
		return ENDED_USAGE;
	}
	for (unsigned i = 0; i < call->cluster.count; i++) {
		if (config_address_is_valid(call->cluster.items[i]))
			continue;
		complainf(call, NULL, "--cluster: \"%.80s\" is not HOST:PORT",
			call->cluster.items[i]);
		config_fini(&c->config);
		return ENDED_USAGE;
	}
	struct steppe_options options = STEPPE_INIT(steppe_options);
	options.addresses = call->cluster.count ? call->cluster.items : c->config.cluster.items;
	options.ca = c->config.ca;
	options.cert = c->config.cert;
	options.key = c->config.key;
	options.name = "steppe";
	options.log = call->verbose ? on_log : NULL;
	error = steppe_open(&options, &c->steppe, why, sizeof(why));
	if (!error)
		return ENDED_OK;
	complain(call, why,
		"look at tls in the configuration: the files must be readable and belong together");
	config_fini(&c->config);
	return exit_code_of(error) == ENDED_FAILURE ? ENDED_USAGE : exit_code_of(error);
}

void cluster_close(struct cluster *c)
{
	steppe_close(&c->steppe);
	config_fini(&c->config);
}

bool cluster_stream(const char *camera, const char *profile, char to[CLUSTER_STREAM_MAX])
{
	int n = strchr(camera, '/') ? snprintf(to, CLUSTER_STREAM_MAX, "%s", camera)
				    : snprintf(to, CLUSTER_STREAM_MAX, "%s/%s", camera, profile);
	return n > 0 && n < CLUSTER_STREAM_MAX && stream_name_split(to, NULL, NULL) == 0;
}

enum exit_code cluster_name_stream(const struct command_call *call, const char *camera,
	const char *profile, char to[CLUSTER_STREAM_MAX])
{
	if (cluster_stream(camera, profile, to))
		return ENDED_OK;
	complainf(call, NULL,
		"\"%.80s\" is not a camera: letters, digits, dots, dashes and underscores, at most "
		"64, and no \"..\"",
		camera);
	return ENDED_USAGE;
}

const char *cluster_split(const char *stream, char to[CLUSTER_STREAM_MAX])
{
	size_t len = strcspn(stream, "/");
	snprintf(to, CLUSTER_STREAM_MAX, "%.*s", (int)len, stream);
	return stream[len] ? stream + len + 1 : "";
}
