/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/store/ceph_df.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/errors.h"

/* The answer is {"stats":{...},"pools":[{"name":"a","id":1,"stats":{"stored":0,...}},...]}. A
 * reader of JSON for three numbers would be more to trust than this: a name and keys are looked
 * for as they are written, which is safe because pool names that JSON would escape are not found
 * at all. */

struct text {
	const char *at;
	size_t len;
};

static bool skip_past(struct text *t, const char *word)
{
	size_t len = strlen(word);
	const char *found = memmem(t->at, t->len, word, len);
	if (!found)
		return false;
	t->len -= (size_t)(found - t->at) + len;
	t->at = found + len;
	return true;
}

static void skip_blanks(struct text *t)
{
	while (t->len && (*t->at == ' ' || *t->at == ':' || *t->at == '\n')) {
		t->at++;
		t->len--;
	}
}

/* Moves behind "name": "POOL". */
static bool find_pool(struct text *t, const char *pool)
{
	size_t len = strlen(pool);
	while (skip_past(t, "\"name\"")) {
		skip_blanks(t);
		if (t->len >= len + 2 && t->at[0] == '"' && memcmp(t->at + 1, pool, len) == 0 &&
			t->at[len + 1] == '"')
			return true;
	}
	return false;
}

/* The number after `key`, before the next pool begins. */
static bool find_number(struct text t, const char *key, uint64_t *ret_value)
{
	const char *next = memmem(t.at, t.len, "\"name\"", 6);
	if (next)
		t.len = (size_t)(next - t.at);
	if (!skip_past(&t, key))
		return false;
	skip_blanks(&t);
	uint64_t value = 0;
	size_t digits = 0;
	for (; digits < t.len && t.at[digits] >= '0' && t.at[digits] <= '9'; digits++) {
		if (value > (UINT64_MAX >> 1) / 10)
			return false;
		value = 10 * value + (uint64_t)(t.at[digits] - '0');
	}
	if (!digits)
		return false;
	*ret_value = value;
	return true;
}

int ceph_df_parse(
	const char *json, size_t len, const char *pool, uint64_t *ret_total, uint64_t *ret_used)
{
	struct text t = {json, len};
	uint64_t stored, available, quota = 0;
	if (!find_pool(&t, pool) || !find_number(t, "\"stored\"", &stored) ||
		!find_number(t, "\"max_avail\"", &available))
		return ERR_FORMAT;
	(void)find_number(t, "\"quota_bytes\"", &quota); /* 0, or not told: none */
	uint64_t total = stored + available;
	*ret_total = quota && quota < total ? quota : total;
	*ret_used = stored;
	return 0;
}

int ceph_pool_parse(const char *json, size_t len, const char *key, uint64_t *ret_value)
{
	char quoted[64];
	(void)snprintf(quoted, sizeof(quoted), "\"%s\"", key);
	return find_number((struct text){json, len}, quoted, ret_value) ? 0 : ERR_FORMAT;
}
