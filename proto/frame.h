/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of the conversation: a fixed header, a protobuf meta part, a raw body. Pure encoding;
 * docs/format/protocol.md.
 *
 *	 0 magic "STPE"   4 version u8   5 type u8   6 flags u16   8 stream u32   12 meta length u32
 * 16 body length u32 20 CRC-32C of bytes 0..19 and the meta part   24 meta ... body ...
 *
 * The body's own checksum is its fragment's or table's; other bodies are covered by TLS alone. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define FRAME_HEADER_SIZE 24
#define FRAME_VERSION     1
#define FRAME_META_MAX    (1u << 20)
#define FRAME_BODY_MAX    (8u << 20)

/* A body of some size is received into a buffer with room before and behind it, so that who stores
 * it can put a few bytes around it and has one piece still. Whoever holds the buffer alone may
 * write there. */
#define FRAME_ROOM_FROM   65536u /* bytes of the smallest such body */
#define FRAME_ROOM_BEFORE 256u
#define FRAME_ROOM_BEHIND 4352u

/* Numbers are for ever. */
enum frame_type {
	FRAME_HELLO = 1,
	FRAME_REFUSED = 2,
	FRAME_REDIRECT = 3,
	FRAME_PING = 4,
	FRAME_PONG = 5,
	FRAME_STOP = 6,
	FRAME_OPEN = 16,
	FRAME_OPENED = 17,
	FRAME_INIT = 18,
	FRAME_APPEND = 19,
	FRAME_ACK = 20,
	FRAME_GAP = 21,
	FRAME_CLOSE = 22,
	FRAME_CLOSED = 23,
	FRAME_TIMELINE = 32,
	FRAME_TIMELINE_REPLY = 33,
	FRAME_DAYS = 34,
	FRAME_DAYS_REPLY = 35,
	FRAME_FETCH = 36,
	FRAME_FETCH_INIT = 37,
	FRAME_FRAGMENT = 38,
	FRAME_FETCH_CREDIT = 39,
	FRAME_FETCH_END = 40,
	FRAME_SNAPSHOT = 41,
	FRAME_SNAPSHOT_CHUNK = 42,
	FRAME_SNAPSHOT_END = 43,
	FRAME_READ = 44,
	FRAME_READ_REPLY = 45,
	FRAME_CAMERA_PUT = 64,
	FRAME_CAMERA_PUT_REPLY = 65,
	FRAME_CAMERA_GET = 66,
	FRAME_CAMERA_REPLY = 67,
	FRAME_CAMERA_LIST = 68,
	FRAME_CAMERA_LIST_REPLY = 69,
	FRAME_CAMERA_REMOVE = 70,
	FRAME_CAMERA_REMOVED = 71,
	FRAME_STATUS = 72,
	FRAME_STATUS_REPLY = 73,
	FRAME_FSCK = 74,
	FRAME_FSCK_FINDING = 75,
	FRAME_FSCK_END = 76,
	FRAME_MAP = 77,
	FRAME_MAP_REPLY = 78,
	FRAME_NODE_SET = 79,
	FRAME_POLICIES_GET = 80,
	FRAME_POLICIES_EDIT = 81,
	FRAME_POLICIES = 82,
};

struct frame_header {
	uint8_t type; /* enum frame_type; unknown ones are passed up */
	uint16_t flags;
	uint32_t stream; /* the asker's number of a request or a recorded stream; 0: the connection
			    itself */
	uint32_t meta_len, body_len;
	uint32_t crc;
};

/* Reads the 24 bytes: 0, ERR_FORMAT (magic), ERR_VERSION, ERR_LIMIT (lengths). The CRC is judged
 * once the meta is there. */
int frame_header_decode(const uint8_t from[FRAME_HEADER_SIZE], struct frame_header *ret_header);
/* 0 or ERR_CHECKSUM. */
int frame_check(const uint8_t header[FRAME_HEADER_SIZE], const void *meta);
/* Writes header for a frame whose meta is `meta`; computes the CRC. */
void frame_header_encode(struct frame_header *h, const void *meta, uint8_t to[FRAME_HEADER_SIZE]);

/* A frame as it was received: meta to be unpacked by the receiver, body as a slice; both valid
 * during the call that shows it, the body longer through a reference of the receiver's own. */
struct frame {
	struct frame_header header;
	const void *meta;
	struct slice body;
};
