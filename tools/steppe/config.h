/* SPDX-License-Identifier: Apache-2.0 */
/* The user's configuration: where the cluster is, who the user is, where footage waits, and
 * passwords of cameras.
 *
 *	cluster: [node1.example.org:4720, node2.example.org:4720]
 *	tls: {ca: ca.crt, cert: joe.crt, key: joe.key}      # beside this file, unless absolute
 *	spool: {dir: /var/spool/steppe, limit: 4G, memory: 16M}
 *	passwords:
 *	  - {source: rtsp://10.1.2., user: admin, password: secret}   # for sources that begin so;
 * the longest counts */
#pragma once

#include "tools/steppe/yamlfile.h"

#define CONFIG_PASSWORDS_MAX 4096

struct config_password {
	const char *source, *user, *password;
};

struct config {
	struct yaml_strings cluster;
	char *ca, *cert, *key;              /* paths */
	const char *spool_dir;              /* NULL: the default place */
	uint64_t spool_limit, memory_limit; /* 0: the library's */
	struct config_password *passwords;
	size_t password_count;
	struct yamlfile file;
};

/* Reads the configuration at `path`; NULL: $STEPPE_CONFIG or ~/.config/steppe/config.yaml. 0 or a
 * negative code with words. */
int config_load(struct config *c, const char *path, char *why, size_t why_size);
/* The same of bytes in memory (relative paths are left alone). */
int config_parse(struct config *c, const void *data, size_t len, char *why, size_t why_size);
void config_fini(struct config *c);
/* Whether the text is HOST:PORT. */
bool config_address_is_valid(const char *address);
/* User and password for a source, by the longest matching beginning. False when there is none. */
bool config_find_password(const struct config *c, const char *source, const char **ret_user,
	const char **ret_password);
/* Where footage waits: the configured directory, $STATE_DIRECTORY, or under the user's state
 * directory. Gives a string to be freed. */
char *config_spool_dir(const struct config *c);
