/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/session/asking.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

uint32_t ask_timeline(struct person *p, const char *stream, int64_t from_us, int64_t to_us)
{
	Steppe__Wire__Timeline ask = STEPPE__WIRE__TIMELINE__INIT;
	ask.stream = (char *)(uintptr_t)stream;
	ask.from_us = from_us;
	ask.to_us = to_us;
	return person_send(p, FRAME_TIMELINE, 0, &ask.base, NULL);
}

uint32_t ask_fetch(struct person *p, const Steppe__Wire__Fetch *with, const char *stream,
	int64_t from_us, int64_t to_us)
{
	Steppe__Wire__Fetch ask = with ? *with : (Steppe__Wire__Fetch)STEPPE__WIRE__FETCH__INIT;
	ask.stream = (char *)(uintptr_t)stream;
	ask.from_us = from_us;
	ask.to_us = to_us;
	if (!ask.credit)
		ask.credit = 1u << 30;
	return person_send(p, FRAME_FETCH, 0, &ask.base, NULL);
}

size_t take_fragments(struct person *p, uint32_t stream, uint64_t *seqs, size_t most)
{
	size_t count = 0;
	bool has_init = p->has_init;
	while (count < most) {
		struct note *n = person_hear(p, stream);
		assert_non_null(n);
		if (n->header.type == FRAME_FETCH_INIT) {
			p->has_init = has_init = n->header.body_len > 0;
		} else if (n->header.type == FRAME_FETCH_END) {
			Steppe__Wire__FetchEnd *end =
				steppe__wire__fetch_end__unpack(NULL, n->header.meta_len, n->meta);
			assert_int_equal(end->fragments, count);
			steppe__wire__fetch_end__free_unpacked(end, NULL);
			note_free(n);
			break;
		} else {
			struct fragment_header h;
			assert_int_equal(n->header.type, FRAME_FRAGMENT);
			Steppe__Wire__Fragment *f =
				steppe__wire__fragment__unpack(NULL, n->header.meta_len, n->meta);
			assert_int_equal(
				fragment_header_decode(f->header.data, f->header.len, &h), 0);
			assert_true(has_init);
			if (f->damaged) {
				assert_int_equal(n->header.body_len, 0);
			} else if (f->prefix_only) {
				assert_int_equal(n->header.body_len, h.prefix_len);
				assert_int_equal(fragment_check_prefix_crc(&h, n->body), 0);
			} else {
				assert_int_equal(n->header.body_len, h.body_len);
				assert_int_equal(fragment_check_crc(&h, n->body), 0);
				assert_int_equal(fragment_check_digest(&h, n->body), 0);
			}
			seqs[count++] = h.seq + (f->damaged ? 1000000 : 0);
			steppe__wire__fragment__free_unpacked(f, NULL);
		}
		note_free(n);
	}
	return count;
}

unsigned loops_of(void **state)
{
	return *(const unsigned *)*state;
}
