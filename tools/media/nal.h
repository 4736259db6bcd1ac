/* SPDX-License-Identifier: Apache-2.0 */
/* Walks the NAL units of an access unit, whether they are set apart by start codes (Annex B) or by
 * length prefixes. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nal {
	const uint8_t
		*data; /* borrowed from the input; header first, without start code or prefix */
	size_t len;    /* at least 1 */
};

struct nal_scan {
	const uint8_t *in;
	size_t len, at;
	unsigned length_size; /* bytes of a length prefix, 1..4; 0: start codes */
	bool damaged;         /* a length pointed past the end: what follows is left out */
};

/* Both borrow `data`. */
struct nal_scan nal_scan_annexb(const void *data, size_t len);
struct nal_scan nal_scan_prefixed(const void *data, size_t len, unsigned length_size);
/* The next NAL unit that is not empty; false after the last. */
bool nal_next(struct nal_scan *scan, struct nal *ret_nal);
