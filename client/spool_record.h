/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a spool's files (docs/format/spool.md). Pure.
 *
 *	segment: header, then records, one after the other, up to the end of the file or the first
 * that is not whole record:  0 magic  4 kind  5 gap cause  6 zero  8 number  16 gap from  24
 * payload length  28 payload CRC  32 CRC of 0..31 */
#pragma once

#include "client/item.h"
#include "proto/names.h"

#define SPOOL_LEVEL       1
#define SPOOL_HEADER_SIZE 128u
#define SPOOL_RECORD_SIZE 36u
#define SPOOL_STATE_SIZE  128u /* of one of its two slots ... */
#define SPOOL_STATE_SLOT  512u /* ... which lie so far apart: a torn write harms one */

enum spool_kind { SPOOL_INIT = 1, SPOOL_FRAGMENT = 2 };

struct spool_header {
	uint8_t lane;   /* enum fragment_lane */
	uint64_t id;    /* of the segment: 1, 2, 3 ... */
	uint64_t first; /* no record of it has a lower number */
	char stream[STREAM_NAME_MAX + 1];
};
void spool_header_encode(const struct spool_header *h, uint8_t to[SPOOL_HEADER_SIZE]);
int spool_header_decode(const void *from, size_t len, struct spool_header *ret_header);

struct spool_record {
	uint8_t kind; /* enum spool_kind */
	uint8_t gap_cause;
	uint64_t number; /* fragments: in its lane; else 0 */
	int64_t gap_from_us;
	uint32_t len; /* of the payload: an init segment, or a fragment's header and body */
	uint32_t crc; /* of the init segment, or of the fragment's header; the body has its own */
};
void spool_record_encode(const struct spool_record *r, uint8_t to[SPOOL_RECORD_SIZE]);
/* 0, ERR_TRUNCATED, ERR_CHECKSUM, ERR_FORMAT, ERR_LIMIT. */
int spool_record_decode(const void *from, size_t len, struct spool_record *ret_record);

/* What a recorder keeps beside its fragments. */
struct spool_state {
	uint64_t generation; /* of two slots the higher one counts */
	struct {
		uint64_t session;
		uint64_t base;    /* a number in the session is a number in the lane less this */
		uint64_t durable; /* acknowledged up to this number at least */
	} lane[LANES];
	int64_t captured_until_us; /* -1: nothing */
};
void spool_state_encode(const struct spool_state *s, uint8_t to[SPOOL_STATE_SIZE]);
int spool_state_decode(const void *from, size_t len, struct spool_state *ret_state);
