/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/steppe/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "client/steppe.h"

/* Paths in the file are meant from where the file is. Gives a string, NULL when memory is short. */
static char *beside(const char *file, const char *path)
{
	const char *slash = file ? strrchr(file, '/') : NULL;
	if (path[0] == '/' || !slash)
		return strdup(path);
	char *out = NULL;
	return asprintf(&out, "%.*s/%s", (int)(slash - file), file, path) < 0 ? NULL : out;
}

static void read_passwords(struct config *c, yaml_node_t *list)
{
	yaml_node_t *item;
	for (size_t i = 0; (item = yamlfile_item(&c->file, list, i)); i++) {
		struct config_password p = {NULL, NULL, NULL};
		const struct yaml_field fields[] = {{"source", YAML_STRING, true, &p.source},
			{"user", YAML_STRING, false, &p.user},
			{"password", YAML_STRING, true, &p.password}};
		if (yamlfile_fields(&c->file, item, fields, ARRAY_LEN(fields)))
			return;
		if (c->password_count == CONFIG_PASSWORDS_MAX) {
			yamlfile_fail(&c->file, item, "passwords: at most %d are possible",
				CONFIG_PASSWORDS_MAX);
			return;
		}
		struct config_password *grown =
			realloc(c->passwords, (c->password_count + 1) * sizeof(p));
		if (!grown) {
			yamlfile_fail(&c->file, item, "memory is short");
			return;
		}
		c->passwords = grown;
		c->passwords[c->password_count++] = p;
	}
}

static void read_tls(struct config *c, yaml_node_t *map, const char *path)
{
	const char *ca = NULL, *cert = NULL, *key = NULL;
	const struct yaml_field fields[] = {{"ca", YAML_STRING, true, &ca},
		{"cert", YAML_STRING, true, &cert}, {"key", YAML_STRING, true, &key}};
	if (yamlfile_fields(&c->file, map, fields, ARRAY_LEN(fields)))
		return;
	c->ca = beside(path, ca);
	c->cert = beside(path, cert);
	c->key = beside(path, key);
	if (!c->ca || !c->cert || !c->key)
		yamlfile_fail(&c->file, map, "memory is short");
}

bool config_address_is_valid(const char *address)
{
	const char *colon = strrchr(address, ':');
	char *end = NULL;
	unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;
	return port > 0 && port <= 65535 && !*end && colon > address;
}

static void check_addresses(struct config *c, yaml_node_t *root)
{
	for (size_t i = 0; i < c->cluster.count; i++) {
		if (!config_address_is_valid(c->cluster.items[i]))
			yamlfile_fail(&c->file, root, "cluster: \"%.80s\" is not HOST:PORT",
				c->cluster.items[i]);
	}
	if (c->cluster.count == 0)
		yamlfile_fail(&c->file, root, "cluster: not one address");
}

static int read_all(struct config *c, const char *path)
{
	yaml_node_t *root = yamlfile_root(&c->file), *tls = NULL, *spool = NULL, *passwords = NULL;
	const struct yaml_field fields[] = {{"cluster", YAML_STRINGS, true, &c->cluster},
		{"tls", YAML_CHILD, true, &tls}, {"spool", YAML_CHILD, false, &spool},
		{"passwords", YAML_CHILD, false, &passwords}};
	const struct yaml_field spool_fields[] = {{"dir", YAML_STRING, false, &c->spool_dir},
		{"limit", YAML_SIZE, false, &c->spool_limit},
		{"memory", YAML_SIZE, false, &c->memory_limit}};
	if (yamlfile_fields(&c->file, root, fields, ARRAY_LEN(fields)))
		return STEPPE_E_CONFIG;
	check_addresses(c, root);
	read_tls(c, tls, path);
	if (spool)
		(void)yamlfile_fields(&c->file, spool, spool_fields,
			ARRAY_LEN(spool_fields)); /* the error is the file's */
	if (passwords)
		read_passwords(c, passwords);
	return c->file.error[0] ? STEPPE_E_CONFIG : 0;
}

static int finish(struct config *c, int error, const char *path, char *why, size_t why_size)
{
	if (!error)
		error = read_all(c, path);
	if (!error)
		return 0;
	snprintf(why, why_size, "%s", c->file.error[0] ? c->file.error : steppe_error_text(error));
	config_fini(c);
	return error;
}

int config_parse(struct config *c, const void *data, size_t len, char *why, size_t why_size)
{
	*c = (struct config){.cluster.count = 0};
	return finish(c, yamlfile_parse(&c->file, "config", data, len), NULL, why, why_size);
}

int config_load(struct config *c, const char *path, char *why, size_t why_size)
{
	char *found = NULL;
	*c = (struct config){.cluster.count = 0};
	if (!path)
		path = getenv("STEPPE_CONFIG");
	if (!path) {
		const char *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
		int n = base && base[0] ? asprintf(&found, "%s/steppe/config.yaml", base)
					: asprintf(&found, "%s/.config/steppe/config.yaml",
						  home ? home : "");
		if (n < 0) {
			snprintf(why, why_size, "memory is short");
			return -ENOMEM;
		}
		path = found;
	}
	int error = finish(c, yamlfile_load(&c->file, path), path, why, why_size);
	free(found);
	return error;
}

void config_fini(struct config *c)
{
	free(c->ca);
	free(c->cert);
	free(c->key);
	free(c->passwords);
	yamlfile_fini(&c->file);
	c->ca = c->cert = c->key = NULL;
	c->passwords = NULL;
	c->password_count = 0;
}

bool config_find_password(const struct config *c, const char *source, const char **ret_user,
	const char **ret_password)
{
	const struct config_password *best = NULL;
	for (size_t i = 0; i < c->password_count; i++) {
		const struct config_password *p = &c->passwords[i];
		size_t len = strlen(p->source);
		if (strncmp(source, p->source, len) == 0 && (!best || len > strlen(best->source)))
			best = p;
	}
	if (!best)
		return false;
	*ret_user = best->user;
	*ret_password = best->password;
	return true;
}

char *config_spool_dir(const struct config *c)
{
	char *out = NULL;
	const char *state = getenv("STATE_DIRECTORY"), *base = getenv("XDG_STATE_HOME"),
		   *home = getenv("HOME");
	if (c->spool_dir)
		return beside(c->file.name, c->spool_dir);
	int n = state && state[0] ? asprintf(&out, "%s/spool", state)
		: base && base[0]
			? asprintf(&out, "%s/steppe/spool", base)
			: asprintf(&out, "%s/.local/state/steppe/spool", home ? home : "");
	return n < 0 ? NULL : out;
}
