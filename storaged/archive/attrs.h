/* SPDX-License-Identifier: Apache-2.0 */
/* The attributes of heads, chunks and partitions: how PROTOCOL's guards are spelled. Numbers are 16
 * lower-case hexadecimal digits, so that the store's byte-wise comparison orders them. Pure;
 * docs/format/attributes.md.
 *
 *	head       epoch (u64)  owner ("node:nonce", "" when yielded)  ver (u64)
 *	chunk      ep (u64)  len (u64)  last (session u64, seq u64; empty: nothing)  state ("open",
 * "sealed") partition  ver (epoch u64, n u64: index.h)  pins (pins.h) days       ver (as a
 * partition's) */
#pragma once

#include "storaged/store/store.h"

#define ATTR_EPOCH "epoch"
#define ATTR_OWNER "owner"
#define ATTR_VER   "ver"
#define ATTR_EP    "ep"
#define ATTR_LEN   "len"
#define ATTR_LAST  "last"
#define ATTR_STATE "state"
#define ATTR_PINS  "pins"

#define ATTR_STATE_OPEN   "open"
#define ATTR_STATE_SEALED "sealed"

#define ATTR_OWNER_MAX 95 /* bytes of an owner */
#define ATTR_U64_SIZE  16 /* bytes of a number, without the NUL that attr_u64_format adds */

void attr_u64_format(uint64_t v, char to[ATTR_U64_SIZE + 1]);
/* 0 or ERR_FORMAT. */
int attr_u64_parse(const void *value, size_t len, uint64_t *ret_v);

struct head_attrs {
	uint64_t epoch, ver;
	char owner[ATTR_OWNER_MAX + 1];
};
/* Of a finished read of a head that wanted attributes. 0 or ERR_FORMAT. */
int head_attrs_read(const struct store_read *read, struct head_attrs *ret_attrs);

struct chunk_attrs {
	uint64_t ep, len;
	uint64_t last_session, last_seq; /* of the last durable fragment; 0, 0: none */
	bool sealed;
};
/* Of a finished read of a chunk that wanted attributes. 0 or ERR_FORMAT. */
int chunk_attrs_read(const struct store_read *read, struct chunk_attrs *ret_attrs);
void chunk_last_format(uint64_t session, uint64_t seq, char to[2 * ATTR_U64_SIZE + 1]);
