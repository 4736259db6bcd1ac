/* SPDX-License-Identifier: Apache-2.0 */
/* A fragment: at most 1 s or 1 MiB of consecutive samples of all tracks of a stream, as `[prft]
 * moof mdat`: the unit of sending, acknowledging and proving. Its header is made by the recorder,
 * travels with `append`, and is kept byte for byte in the chunk's `steppe-frag` box
 * (docs/format/fragment.md).
 *
 * Checksums and digests take the eight value bytes of each `tfdt` as zero, because that is the one
 * field a holder rewrites. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

#define FRAGMENT_LEVEL       1
#define FRAGMENT_BODY_MAX    (4u << 20)
#define FRAGMENT_TRACKS_MAX  4
#define FRAGMENT_INIT_MAX    (64u << 10)
#define FRAGMENT_HEADER_SIZE 144 /* encoded */
#define DIGEST_SIZE          32  /* SHA-256 */

enum fragment_flags {
	FRAGMENT_SYNC =
		1 << 0, /* starts with a sync sample of the video track (or has no video track) */
	FRAGMENT_SYNC_OPEN =
		1
		<< 1, /* ... which is open (CRA, recovery point): leading pictures may not decode */
	FRAGMENT_DISCONTINUITY = 1 << 2, /* its time does not follow from its predecessor's */
	FRAGMENT_ESTIMATED_DURATION =
		1 << 3, /* the last sample's duration is a guess (the stream ended there) */
	FRAGMENT_CLOCK_BACK = 1 << 4, /* its capture time lies before its predecessor's */
	FRAGMENT_NO_VIDEO = 1 << 5,   /* the stream has no video track */
};

/* Where the capture time comes from. Values are on disk. */
enum clock_source {
	CLOCK_RECEIPT = 0,      /* the recorder's clock when the bytes came */
	CLOCK_RTCP = 1,         /* the camera's RTCP sender reports */
	CLOCK_DECLARED = 2,     /* declared by a person or a program (files, --start) */
	CLOCK_CAMERA = 3,       /* other times from the camera (ONVIF, GB/T 28181) */
	CLOCK_RECORDER_NTP = 4, /* the recorder's clock, known to be synchronised */
};

enum fragment_lane { LANE_LIVE = 0, LANE_BACKFILL = 1, LANES = 2 };

struct fragment_header {
	uint8_t lane;            /* enum fragment_lane */
	uint8_t track_count;     /* 1..4; tfdt_offset has as many */
	uint8_t clock_source;    /* enum clock_source */
	uint16_t flags;          /* enum fragment_flags */
	uint64_t session;        /* the recorder's durable spool: survives its restarts; never 0 */
	uint64_t seq;            /* 1, 2, 3 ... within the session */
	struct wall capture;     /* of the first sample shown, by presentation time */
	uint32_t duration_us;    /* from that to the end of the last sample shown */
	uint32_t clock_error_us; /* bound on the error of `capture` */
	uint32_t body_len;       /* of [prft] moof mdat */
	uint32_t prefix_len; /* of the part of the body that ends with the sync picture; moof and
				mdat header when no sync */
	uint32_t tfdt_offset[FRAGMENT_TRACKS_MAX]; /* in the prefix, of each tfdt's 8-byte value
						      (version 1), ascending; 0 past them */
	uint32_t prefix_crc; /* CRC-32C of body[0 .. prefix_len), tfdt values as zero */
	uint32_t rest_crc;   /* CRC-32C of the rest */
	uint8_t prefix_digest[DIGEST_SIZE]; /* SHA-256 of the encoded header up to here, then of
					       body[0 .. prefix_len) so taken */
	uint8_t rest_digest[DIGEST_SIZE];   /* SHA-256 of the rest */
};

/* Writes the header's FRAGMENT_HEADER_SIZE bytes. */
void fragment_header_encode(const struct fragment_header *h, uint8_t to[FRAGMENT_HEADER_SIZE]);

/* Reads and judges a header: 0, ERR_TRUNCATED, ERR_VERSION, ERR_CHECKSUM (of the header itself),
 * ERR_LIMIT (body over 4 MiB, over 4 tracks, duration over 60 s), ERR_FORMAT (offsets out of the
 * prefix or overlapping, unknown lane, clock source or flag, zero session or seq, invalid time).
 * What is accepted encodes to the same bytes again. Borrows `from`. */
int fragment_header_decode(const void *from, size_t len, struct fragment_header *ret_header);

/* The end of the last sample shown. */
static inline struct wall fragment_end(const struct fragment_header *h)
{
	return (struct wall){h->capture.us + h->duration_us};
}

/* Fills the checksums and, when `with_digests`, the digests (zeroes otherwise) of a header whose
 * other fields are final. The body has body_len bytes. For recorders. 0, -ENOMEM, or what
 * fragment_header_decode would say of the header. */
int fragment_seal(struct fragment_header *h, const void *body, bool with_digests);
/* Checks both checksums of a whole body (0, ERR_CHECKSUM). For receivers and readers. These take
 * headers that were decoded or sealed, whose offsets are therefore known to lie inside. */
int fragment_check_crc(const struct fragment_header *h, const void *body);
/* Checks the first `prefix_len` bytes alone. */
int fragment_check_prefix_crc(const struct fragment_header *h, const void *prefix);
/* Checks both digests of a whole body: 0, ERR_CHECKSUM, -ENODATA (its recorder made none), -ENOMEM;
 * costs a SHA-256 over it. For fsck and exports. */
int fragment_check_digest(const struct fragment_header *h, const void *body);
/* The fragment's digest: SHA-256 of prefix_digest then rest_digest; 0, or -ENOMEM and zeroes. */
int fragment_digest(const struct fragment_header *h, uint8_t ret_digest[DIGEST_SIZE]);
