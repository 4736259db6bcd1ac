/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/media/nal.h"

#include <string.h>

struct nal_scan nal_scan_annexb(const void *data, size_t len)
{
	return (struct nal_scan){.in = data, .len = len};
}

struct nal_scan nal_scan_prefixed(const void *data, size_t len, unsigned length_size)
{
	return (struct nal_scan){.in = data, .len = len, .length_size = length_size};
}

/* The place of the next 00 00 01 at or after `from`, or `len`. */
static size_t find_start_code(const uint8_t *in, size_t len, size_t from)
{
	size_t at = from + 2;
	while (at < len) {
		const uint8_t *one = memchr(in + at, 1, len - at);
		if (!one)
			return len;
		at = (size_t)(one - in);
		if (in[at - 1] == 0 && in[at - 2] == 0)
			return at - 2;
		at++;
	}
	return len;
}

static bool next_annexb(struct nal_scan *s, struct nal *ret_nal)
{
	while (s->at < s->len) {
		size_t start = find_start_code(s->in, s->len, s->at);
		if (start == s->len)
			break;
		start += 3;
		size_t end = find_start_code(s->in, s->len, start);
		s->at = end;
		/* zero bytes before a start code belong to nobody */
		while (end > start && s->in[end - 1] == 0)
			end--;
		if (end > start) {
			*ret_nal = (struct nal){s->in + start, end - start};
			return true;
		}
	}
	s->at = s->len;
	return false;
}

static bool next_prefixed(struct nal_scan *s, struct nal *ret_nal)
{
	while (s->len - s->at >= s->length_size) {
		size_t len = 0;
		for (unsigned i = 0; i < s->length_size; i++)
			len = len << 8 | s->in[s->at + i];
		s->at += s->length_size;
		if (len > s->len - s->at) {
			s->damaged = true;
			break;
		}
		const uint8_t *data = s->in + s->at;
		s->at += len;
		if (len > 0) {
			*ret_nal = (struct nal){data, len};
			return true;
		}
	}
	s->at = s->len;
	return false;
}

bool nal_next(struct nal_scan *scan, struct nal *ret_nal)
{
	return scan->length_size ? next_prefixed(scan, ret_nal) : next_annexb(scan, ret_nal);
}
