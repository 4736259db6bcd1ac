/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/attrs.h"

#include <string.h>

#include "base/errors.h"

void attr_u64_format(uint64_t v, char to[ATTR_U64_SIZE + 1])
{
	static const char digits[] = "0123456789abcdef";
	for (int i = ATTR_U64_SIZE; i--; v >>= 4)
		to[i] = digits[v & 15];
	to[ATTR_U64_SIZE] = 0;
}

int attr_u64_parse(const void *value, size_t len, uint64_t *ret_v)
{
	const char *text = value;
	uint64_t v = 0;
	if (len != ATTR_U64_SIZE)
		return ERR_FORMAT;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		/* upper case is refused: two spellings of one number would compare unequal in a
		 * guard */
		if (c >= '0' && c <= '9')
			v = v << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (uint64_t)(c - 'a' + 10);
		else
			return ERR_FORMAT;
	}
	*ret_v = v;
	return 0;
}

static int u64_read(const struct store_read *read, const char *name, uint64_t *ret_v)
{
	size_t len;
	const void *value = store_read_attr(read, name, &len);
	return attr_u64_parse(value, len, ret_v);
}

int head_attrs_read(const struct store_read *read, struct head_attrs *ret_attrs)
{
	struct head_attrs a = {0};
	if (u64_read(read, ATTR_EPOCH, &a.epoch) || u64_read(read, ATTR_VER, &a.ver))
		return ERR_FORMAT;
	size_t len;
	const void *owner = store_read_attr(read, ATTR_OWNER, &len);
	if (len > ATTR_OWNER_MAX)
		return ERR_FORMAT;
	memcpy(a.owner, owner, len);
	*ret_attrs = a;
	return 0;
}

int chunk_attrs_read(const struct store_read *read, struct chunk_attrs *ret_attrs)
{
	struct chunk_attrs a = {0};
	if (u64_read(read, ATTR_EP, &a.ep) || u64_read(read, ATTR_LEN, &a.len))
		return ERR_FORMAT;
	size_t len;
	const char *last = store_read_attr(read, ATTR_LAST, &len);
	if (len &&
		(len != 2 * ATTR_U64_SIZE || attr_u64_parse(last, ATTR_U64_SIZE, &a.last_session) ||
			attr_u64_parse(last + ATTR_U64_SIZE, ATTR_U64_SIZE, &a.last_seq)))
		return ERR_FORMAT;
	const char *state = store_read_attr(read, ATTR_STATE, &len);
	a.sealed = len == strlen(ATTR_STATE_SEALED) && !memcmp(state, ATTR_STATE_SEALED, len);
	if (!a.sealed &&
		(len != strlen(ATTR_STATE_OPEN) || memcmp(state, ATTR_STATE_OPEN, len) != 0))
		return ERR_FORMAT;
	*ret_attrs = a;
	return 0;
}

void chunk_last_format(uint64_t session, uint64_t seq, char to[2 * ATTR_U64_SIZE + 1])
{
	attr_u64_format(session, to);
	attr_u64_format(seq, to + ATTR_U64_SIZE);
}
