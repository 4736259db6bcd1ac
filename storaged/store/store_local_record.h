/* SPDX-License-Identifier: Apache-2.0 */
/* The value that the local store's index holds for an object: docs/format/local-store.md has every
 * byte. Pure codec. */
#pragma once

#include "storaged/store/store_impl.h"

#define LOCAL_RECORD_LEVEL 1
/* level, flags, id, size, count; then for each attribute: name length, name, value length, value */
#define LOCAL_RECORD_MAX                                                                           \
	(1 + 1 + 8 + 8 + 1 + STORE_ATTRS_MAX * (1 + STORE_ATTR_NAME_MAX + 2 + STORE_ATTR_VALUE_MAX))

enum {
	LOCAL_OTHER_FILE = 1, /* the body is in the second of the two files an object may have */
};

struct local_record {
	uint8_t flags;
	uint64_t id;   /* of this body; made anew or moved to the other file it gets another */
	uint64_t size; /* of the body; what a file holds beyond it is not there */
	size_t attr_count;
	/* values stay in the bytes that were decoded; twice the room, for edits under way */
	struct store_read_attr attrs[2 * STORE_ATTRS_MAX];
};

/* Bytes used of `to`, which has LOCAL_RECORD_MAX. */
size_t local_record_encode(const struct local_record *r, uint8_t *to);
/* ERR_FORMAT, ERR_TRUNCATED or ERR_VERSION for bytes that are no record. Borrows `data` as long as
 * *ret_record is used. */
int local_record_decode(const void *data, size_t len, struct local_record *ret_record);

/* NULL when there is no such attribute. */
const struct store_read_attr *local_record_attr(const struct local_record *r, const char *name);
/* Sets, or with the empty value takes away, attributes one after the other; -EINVAL when more than
 * STORE_ATTRS_MAX are left. Borrows the values. */
int local_record_set_attrs(struct local_record *r, const struct store_attr *attrs, size_t count);
