/* SPDX-License-Identifier: Apache-2.0 */
/* storaged: the storage daemon's command line. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "storaged/config.h"
#include "storaged/server.h"
#include "storaged/version.h"

enum { EXIT_USAGE = 2 };

static void usage(FILE *to)
{
	fputs("Usage: storaged --config FILE\n"
	      "       storaged --store URL --listen HOST:PORT --tls DIR [--node NAME]\n"
	      "Steppe's storage daemon: takes in camera streams, keeps them, gives back any "
	      "window.\n\n"
	      "  -c, --config FILE       settings from a YAML file; options given here go before "
	      "it\n"
	      "      --store URL         where footage is kept: file:///srv/video, "
	      "rados://?conf=...&meta=...&data=...\n"
	      "      --listen HOST:PORT  for recorders and viewers (127.0.0.1:7600)\n"
	      "      --http HOST:PORT    for /metrics and /health (127.0.0.1:7680); '' for none\n"
	      "      --tls DIR           certificates as `steppe pki` makes them\n"
	      "      --node NAME         this daemon's id and its certificate's name (node1)\n"
	      "      --log-level WORD    error, warn, info, debug\n"
	      "      --set NAME=VALUE    any setting\n"
	      "      --settings          list every setting with its default and range (Markdown)\n"
	      "      --show-config       print the settings in force (YAML) and exit\n"
	      "      --help, --version\n\n"
	      "Signals: TERM and INT finish batches, seal and exit; HUP reads certificates, "
	      "revocations and log level again.\n"
	      "Exit codes: 0 stopped when asked to, 1 could not start or go on, 2 wrong usage or "
	      "settings.\n",
		to);
}

enum option_id { OPTION_SET = 256, OPTION_SETTINGS, OPTION_SHOW, OPTION_VERSION, OPTION_KEYS };

/* Options that are short for a setting. */
static const char *const option_keys[] = {
	"store", "listen", "http", "tls.dir", "node", "log_level"};

static const struct option options[] = {
	{"config", required_argument, NULL, 'c'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, OPTION_VERSION},
	{"set", required_argument, NULL, OPTION_SET},
	{"settings", no_argument, NULL, OPTION_SETTINGS},
	{"show-config", no_argument, NULL, OPTION_SHOW},
	{"store", required_argument, NULL, OPTION_KEYS},
	{"listen", required_argument, NULL, OPTION_KEYS + 1},
	{"http", required_argument, NULL, OPTION_KEYS + 2},
	{"tls", required_argument, NULL, OPTION_KEYS + 3},
	{"node", required_argument, NULL, OPTION_KEYS + 4},
	{"log-level", required_argument, NULL, OPTION_KEYS + 5},
	{0},
};

struct command {
	struct config config;
	const char *path;
	bool show;
	char why[1024];
};

/* --set NAME=VALUE */
static int set_pair(struct command *c, char *pair)
{
	char *equals = strchr(pair, '=');
	if (!equals) {
		snprintf(c->why, sizeof(c->why), "--set takes NAME=VALUE, not %s", pair);
		return -1;
	}
	*equals = '\0';
	int rc = config_set(&c->config, pair, equals + 1, c->why, sizeof(c->why));
	*equals = '=';
	return rc;
}

/* Options come twice: first for the file's name, then over what the file says. -1: go on; else the
 * exit code. */
static int take_option(struct command *c, int id, bool over_file)
{
	int rc = 0;
	switch (id) {
	case 'h':
		usage(stdout);
		return EXIT_SUCCESS;
	case OPTION_VERSION:
		printf("storaged %s\n", STEPPE_VERSION);
		return EXIT_SUCCESS;
	case OPTION_SETTINGS:
		config_write_reference(stdout);
		return EXIT_SUCCESS;
	case 'c':
		c->path = optarg;
		return -1;
	case OPTION_SHOW:
		c->show = true;
		return -1;
	case '?':
		return EXIT_USAGE;
	default:
		break;
	}
	if (!over_file)
		return -1;
	if (id == OPTION_SET)
		rc = set_pair(c, optarg);
	else
		rc = config_set(
			&c->config, option_keys[id - OPTION_KEYS], optarg, c->why, sizeof(c->why));
	return rc ? EXIT_USAGE : -1;
}

static int take_options(struct command *c, int argc, char **argv, bool over_file)
{
	optind = 1;
	opterr = !over_file;
	for (int id; (id = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
		int code = take_option(c, id, over_file);
		if (code >= 0)
			return code;
	}
	if (optind < argc) {
		snprintf(c->why, sizeof(c->why), "%s means nothing here", argv[optind]);
		return EXIT_USAGE;
	}
	return -1;
}

static int run(struct command *c, int argc, char **argv)
{
	int code = take_options(c, argc, argv, false);
	if (code >= 0)
		return code;
	if (c->path && config_read(&c->config, c->path, c->why, sizeof(c->why)))
		return EXIT_USAGE;
	code = take_options(c, argc, argv, true);
	if (code >= 0)
		return code;
	if (config_finish(&c->config, c->why, sizeof(c->why)))
		return EXIT_USAGE;
	if (c->show) {
		config_write(&c->config, stdout);
		return EXIT_SUCCESS;
	}
	log_set_level(config_log_level(&c->config));
	return server_run(&c->config, c->path, c->why, sizeof(c->why)) ? EXIT_FAILURE
								       : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	static struct command command;
	if (config_init(&command.config)) {
		fputs("storaged: not enough memory\n", stderr);
		return EXIT_FAILURE;
	}
	int code = run(&command, argc, argv);
	if (command.why[0])
		fprintf(stderr, "storaged: %s\n", command.why);
	if (code == EXIT_USAGE)
		fputs("Try `storaged --help`.\n", stderr);
	config_fini(&command.config);
	return code;
}
