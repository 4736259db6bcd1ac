/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/store/store_url.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/errors.h"

static __attribute__((format(printf, 3, 4))) int refuse(
	char *why, size_t why_size, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	(void)vsnprintf(why, why_size, format, args); /* words that do not fit are cut */
	va_end(args);
	return ERR_CONFIG;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Turns %XX into the byte, in place; false for a bad pair or a NUL. */
static bool unescape(char *text)
{
	char *to = text;
	for (const char *from = text; *from; from++, to++) {
		if (*from != '%') {
			*to = *from;
			continue;
		}
		int high = hex_digit(from[1]);
		int low = high < 0 ? -1 : hex_digit(from[2]);
		if (low < 0 || high + low == 0)
			return false;
		*to = (char)(high << 4 | low);
		from += 2;
	}
	*to = 0;
	return true;
}

/* One "key=value" of the query. */
static int take_param(struct store_url *url, char *text, char *why, size_t why_size)
{
	char *equals = strchr(text, '=');
	if (!equals || equals == text)
		return refuse(
			why, why_size, "\"%s\" in the store's url should read key=value", text);
	*equals = 0;
	if (!unescape(equals + 1))
		return refuse(
			why, why_size, "bad %%XX in the value of \"%s\" in the store's url", text);
	if (store_url_param(url, text))
		return refuse(why, why_size, "\"%s\" is given twice in the store's url", text);
	if (url->param_count == STORE_URL_PARAMS_MAX)
		return refuse(why, why_size, "too many parameters in the store's url");
	url->params[url->param_count].key = text;
	url->params[url->param_count++].value = equals + 1;
	return 0;
}

int store_url_parse(const char *text, struct store_url *ret_url, char *why, size_t why_size)
{
	struct store_url *url = ret_url;
	size_t len = strlen(text);
	if (len > STORE_URL_MAX)
		return refuse(
			why, why_size, "the store's url is longer than %d bytes", STORE_URL_MAX);
	url->param_count = 0;
	memcpy(url->text, text, len + 1);
	char *colon = strstr(url->text, "://");
	if (!colon || colon == url->text)
		return refuse(why, why_size,
			"the store should be a url such as file:///srv/video, not \"%s\"", text);
	*colon = 0;
	char *path = colon + 3, *query = strchr(path, '?');
	if (query)
		*query++ = 0;
	if (!unescape(path))
		return refuse(why, why_size, "bad %%XX in the path of the store's url");
	url->scheme = url->text;
	url->path = path;
	char *state = NULL;
	for (char *p = query ? strtok_r(query, "&", &state) : NULL; p;
		p = strtok_r(NULL, "&", &state)) {
		int rc = take_param(url, p, why, why_size);
		if (rc)
			return rc;
	}
	return 0;
}

const char *store_url_param(const struct store_url *url, const char *key)
{
	for (size_t i = 0; i < url->param_count; i++)
		if (strcmp(url->params[i].key, key) == 0)
			return url->params[i].value;
	return NULL;
}

int store_url_check_keys(
	const struct store_url *url, const char *const *known, char *why, size_t why_size)
{
	for (size_t i = 0; i < url->param_count; i++) {
		size_t k = 0;
		while (known[k] && strcmp(known[k], url->params[i].key) != 0)
			k++;
		if (!known[k])
			return refuse(why, why_size, "a %s:// store has no parameter \"%s\"",
				url->scheme, url->params[i].key);
	}
	return 0;
}
