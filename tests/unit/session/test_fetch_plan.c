/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/session/fetch_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define S US_PER_SECOND

/* A chunk of one-second fragments from `start_s`, a sync every `gop` fragments. */
struct made {
	struct chunk_table table;
	struct table_fragment fragments[32];
};

static void make(struct made *m, uint64_t session, uint64_t first_seq, int64_t start_s,
	uint32_t count, uint32_t gop)
{
	memset(m, 0, sizeof(*m));
	m->table.session = session;
	m->table.fragments = m->fragments;
	m->table.fragment_count = count;
	for (uint32_t i = 0; i < count; i++)
		m->fragments[i] = (struct table_fragment){
			.seq = first_seq + i,
			.capture = {(start_s + i) * S},
			.duration_us = (uint32_t)S,
			.flags = i % gop ? 0 : FRAGMENT_SYNC,
		};
}

static struct plan_chunk chunk(const struct made *m, uint64_t epoch, uint32_t seq, uint8_t lane)
{
	return (struct plan_chunk){.table = &m->table,
		.fragments = m->table.fragment_count,
		.id = {epoch, seq, 0},
		.lane = lane};
}

static struct plan_window window(int64_t from_s, int64_t to_s)
{
	return (struct plan_window){.from = {from_s * S},
		.to = {to_s * S},
		.slice_from = {from_s * S},
		.slice_to = {to_s * S},
		.first_slice = true};
}

/* The capture seconds of a plan as "3 4 5", syncs alone with a "*". */
static const char *plan_text(const struct plan_chunk *chunks, size_t count,
	const struct plan_window *w, const struct plan_cursor *cursor)
{
	static char text[512];
	struct plan_item *items;
	size_t n, at = 0;
	assert_int_equal(w ? plan_window(chunks, count, w, cursor, &items, &n)
			   : plan_tail(chunks, count, cursor, &items, &n),
		0);
	text[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		const struct table_fragment *f =
			&chunks[items[i].chunk].table->fragments[items[i].fragment];
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%lld%s", i ? " " : "",
			(long long)(f->capture.us / S), items[i].prefix_only ? "*" : "");
	}
	free(items);
	return text;
}

static void test_forward_begins_at_the_sync_before(void **state)
{
	(void)state;
	struct made a;
	make(&a, 1, 1, 100, 10, 4);
	struct plan_chunk c[] = {chunk(&a, 1, 1, LANE_LIVE)};
	struct plan_window w = window(106, 109);
	assert_string_equal(plan_text(c, 1, &w, NULL), "104 105 106 107 108");
	w = window(90, 100);
	assert_string_equal(plan_text(c, 1, &w, NULL), "");
	w = window(110, 120);
	assert_string_equal(plan_text(c, 1, &w, NULL), "");
	w = window(0, 1000);
	assert_string_equal(plan_text(c, 1, &w, NULL), "100 101 102 103 104 105 106 107 108 109");
}

static void test_backward_gives_runs_newest_first(void **state)
{
	(void)state;
	struct made a;
	make(&a, 1, 1, 100, 10, 4);
	struct plan_chunk c[] = {chunk(&a, 1, 1, LANE_LIVE)};
	struct plan_window w = window(101, 109);
	w.backward = true;
	assert_string_equal(plan_text(c, 1, &w, NULL), "108 104 105 106 107 100 101 102 103");
}

static void test_sync_pictures_alone(void **state)
{
	(void)state;
	struct made a;
	make(&a, 1, 1, 100, 20, 2);
	struct plan_chunk c[] = {chunk(&a, 1, 1, LANE_LIVE)};
	struct plan_window w = window(101, 115);
	w.sync_only = true;
	assert_string_equal(plan_text(c, 1, &w, NULL), "102* 104* 106* 108* 110* 112* 114*");
	w.sync_every_us = 5 * S;
	assert_string_equal(plan_text(c, 1, &w, NULL), "102* 108* 114*");
	w.backward = true;
	assert_string_equal(plan_text(c, 1, &w, NULL), "114* 108* 102*");
}

static void test_backfill_takes_its_place_and_runs_do_not_mix(void **state)
{
	(void)state;
	struct made live, filled;
	make(&live, 1, 1, 100, 4, 2);
	for (uint32_t i = 2; i < 4; i++)
		live.fragments[i].capture.us += 10 * S; /* a hole from 102 to 112 */
	make(&filled, 2, 1, 102, 10, 5);
	struct plan_chunk c[] = {
		chunk(&live, 3, 1, LANE_LIVE), chunk(&filled, 3, 2, LANE_BACKFILL)};
	struct plan_window w = window(0, 1000);
	assert_string_equal(plan_text(c, 2, &w, NULL),
		"100 101 102 103 104 105 106 107 108 109 110 111 112 113");
}

static void test_of_two_copies_the_higher_epochs(void **state)
{
	(void)state;
	struct made old, fresh;
	make(&old, 1, 1, 100, 4, 1);
	make(&fresh, 1, 3, 102, 4, 1);
	struct plan_chunk c[] = {chunk(&old, 1, 1, LANE_LIVE), chunk(&fresh, 2, 1, LANE_LIVE)};
	struct plan_window w = window(0, 1000);
	assert_string_equal(plan_text(c, 2, &w, NULL), "100 101 102 103 104 105");
}

static void test_slices_share_no_run_and_lose_none(void **state)
{
	(void)state;
	struct made a;
	make(&a, 1, 1, 100, 12, 4);
	struct plan_chunk c[] = {chunk(&a, 1, 1, LANE_LIVE)};
	struct plan_window w = window(101, 111);
	w.slice_to.us = 106 * S; /* in the middle of a run that began at 104 */
	assert_string_equal(plan_text(c, 1, &w, NULL), "100 101 102 103 104 105 106 107");
	w.first_slice = false;
	w.slice_from.us = 106 * S;
	w.slice_to.us = 111 * S;
	assert_string_equal(plan_text(c, 1, &w, NULL), "108 109 110");
}

static void test_a_cursor_leaves_out_what_was_sent(void **state)
{
	(void)state;
	struct made a;
	make(&a, 1, 1, 100, 12, 4);
	struct plan_chunk c[] = {chunk(&a, 1, 1, LANE_LIVE)};
	struct plan_window w = window(0, 1000);
	struct plan_cursor cursor = {.any = true, .unit = {104 * S}, .capture = {105 * S}};
	assert_string_equal(plan_text(c, 1, &w, &cursor), "106 107 108 109 110 111");
	w.backward = true;
	assert_string_equal(plan_text(c, 1, &w, &cursor), "106 107 100 101 102 103");
}

static void test_the_tail_goes_by_recording_whatever_the_clock(void **state)
{
	(void)state;
	struct made a, b, filled;
	make(&a, 1, 1, 100, 4, 2);
	make(&b, 1, 5, 50, 3, 1); /* the camera's clock stepped back */
	make(&filled, 2, 1, 10, 3, 1);
	struct plan_chunk c[] = {chunk(&b, 1, 2, LANE_LIVE), chunk(&filled, 1, 3, LANE_BACKFILL),
		chunk(&a, 1, 1, LANE_LIVE)};
	struct plan_cursor cursor = {.any = true, .live = true, .chunk = {1, 1, 0}, .fragment = 1};
	assert_string_equal(plan_text(c, 3, NULL, &cursor), "102 103 50 51 52");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forward_begins_at_the_sync_before),
		cmocka_unit_test(test_backward_gives_runs_newest_first),
		cmocka_unit_test(test_sync_pictures_alone),
		cmocka_unit_test(test_backfill_takes_its_place_and_runs_do_not_mix),
		cmocka_unit_test(test_of_two_copies_the_higher_epochs),
		cmocka_unit_test(test_slices_share_no_run_and_lose_none),
		cmocka_unit_test(test_a_cursor_leaves_out_what_was_sent),
		cmocka_unit_test(test_the_tail_goes_by_recording_whatever_the_clock),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
