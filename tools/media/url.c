/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/media/url.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* The part before the "@" of the authority that begins at `start`; false when there is none. */
static bool credentials_at(const char *start, size_t *ret_len)
{
	size_t authority = strcspn(start, "/?# \t\n'\"");
	/* passwords may hold an @ of their own: the last one counts */
	const char *at = memrchr(start, '@', authority);
	if (!at)
		return false;
	*ret_len = (size_t)(at - start);
	return true;
}

/* The credentials of an address; NULL when it has none. */
static const char *credentials(const char *url, size_t *ret_len)
{
	const char *scheme_end = strstr(url, "://");
	return scheme_end && credentials_at(scheme_end + 3, ret_len) ? scheme_end + 3 : NULL;
}

bool url_has_password(const char *url)
{
	size_t len;
	const char *start = credentials(url, &len);
	return start && memchr(start, ':', len);
}

static bool has_scheme(const char *url, const char *scheme)
{
	size_t len = strlen(scheme);
	return strncasecmp(url, scheme, len) == 0 && strncmp(url + len, "://", 3) == 0;
}

bool url_is_rtsp(const char *url)
{
	return has_scheme(url, "rtsp") || has_scheme(url, "rtsps");
}

bool url_is_live(const char *url)
{
	static const char *const schemes[] = {
		"rtsp", "rtsps", "rtp", "udp", "srt", "rtmp", "rtmps", "tcp"};
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
		if (has_scheme(url, schemes[i]))
			return true;
	return false;
}

/* Appends `text` percent-encoded; `to` has room for three times its length. */
static char *put_encoded(char *to, const char *text)
{
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	static const char hex[] = "0123456789ABCDEF";
	for (; *text; text++) {
		if (strchr(plain, *text)) {
			*to++ = *text;
			continue;
		}
		*to++ = '%';
		*to++ = hex[(uint8_t)*text >> 4];
		*to++ = hex[(uint8_t)*text & 15];
	}
	return to;
}

char *url_with_credentials(const char *url, const char *user, const char *password)
{
	const char *scheme_end = strstr(url, "://");
	if (!scheme_end || (!user && !password))
		return strdup(url);
	size_t own_len = 0;
	const char *own = credentials(url, &own_len);
	const char *host = own ? own + own_len + 1 : scheme_end + 3;
	size_t own_user_len = own ? strcspn(own, ":@") : 0;
	size_t room = strlen(url) + 3 * (user ? strlen(user) : 0) +
		      3 * (password ? strlen(password) : 0) + 8;
	char *out = malloc(room);
	if (!out)
		return NULL;
	char *p = mempcpy(out, url, (size_t)(scheme_end + 3 - url));
	if (user)
		p = put_encoded(p, user);
	else if (own)
		p = mempcpy(p, own, own_user_len);
	if (password) {
		*p++ = ':';
		p = put_encoded(p, password);
	}
	*p++ = '@';
	memcpy(p, host, strlen(host) + 1);
	return out;
}

/* A string that never passes its room. */
struct text {
	char *to;
	size_t len, size;
};

static void put_text(struct text *t, const char *from, size_t len)
{
	size_t room = t->size - 1 - t->len;
	len = len < room ? len : room;
	memcpy(t->to + t->len, from, len);
	t->len += len;
}

void url_redact(const char *text, char *to, size_t size)
{
	struct text out = {.to = to, .size = size};
	const char *p = text;
	for (const char *scheme_end; (scheme_end = strstr(p, "://"));) {
		const char *start = scheme_end + 3;
		size_t len;
		const char *colon = credentials_at(start, &len) ? memchr(start, ':', len) : NULL;
		const char *plain_end = colon ? colon + 1 : start;
		put_text(&out, p, (size_t)(plain_end - p));
		if (colon)
			put_text(&out, "***", 3);
		p = colon ? start + len : start;
	}
	put_text(&out, p, strlen(p));
	to[out.len] = 0;
}
