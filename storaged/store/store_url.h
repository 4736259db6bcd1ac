/* SPDX-License-Identifier: Apache-2.0 */
/* A store's url taken apart: scheme://path?key=value&key=value, with %XX in the path and in values.
 * Pure. */
#pragma once

#include <stddef.h>

#define STORE_URL_MAX        1024 /* bytes of the whole text */
#define STORE_URL_PARAMS_MAX 16

struct store_url {
	const char *scheme, *path; /* both inside `text` */
	struct {
		const char *key, *value;
	} params[STORE_URL_PARAMS_MAX];
	size_t param_count;
	/* private */
	char text[STORE_URL_MAX + 1];
};

/* Takes `text` apart into *ret_url, which must stay where it is as long as its parts are used.
 * ERR_CONFIG, with words in `why`, for text that is no url or has a key twice. */
int store_url_parse(const char *text, struct store_url *ret_url, char *why, size_t why_size);
/* The value of `key`, or NULL. */
const char *store_url_param(const struct store_url *url, const char *key);
/* ERR_CONFIG, naming it in `why`, for a key that the NULL-terminated list does not have. */
int store_url_check_keys(
	const struct store_url *url, const char *const *known, char *why, size_t why_size);
