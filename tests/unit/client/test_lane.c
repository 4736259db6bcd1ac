/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/errors.h"
#include "client/delivered.h"
#include "client/lane.h"
#include "tests/unit/client/made.h"

static struct lane lane;
static unsigned durable;

static int set_up(void **state)
{
	(void)state;
	lane_init(&lane, LANE_LIVE, 77, 0, 0);
	durable = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	lane_fini(&lane);
	lane_fini(&lane);
	return 0;
}

static void on_durable(void *user, const struct item *item)
{
	(void)user;
	(void)item;
	durable++;
}

static void push(unsigned first, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(lane_push(&lane, made_item(first + i, 1000)), 0);
}

/* Sends what may be sent; the count. */
static unsigned send_all(void)
{
	unsigned count = 0;
	for (struct item *item; (item = lane_sendable(&lane)); count++) {
		assert_int_equal(lane_prepare(&lane, item), 0);
		assert_int_equal(item->header.session, lane.session);
		assert_int_equal(item->header.seq, item->number - lane.base);
		assert_int_equal(fragment_check_digest(&item->header, item->body->data), 0);
		lane_sent(&lane, item, item->init);
	}
	return count;
}

static void test_numbers_credit_and_acknowledgement(void **state)
{
	(void)state;
	push(0, 5);
	assert_null(lane_sendable(&lane)); /* not opened */
	size_t one = item_first(&lane.items)->body->len;
	assert_int_equal(lane.memory_bytes, 5 * one);
	lane_opened(&lane, 1, 3 * one + 1, on_durable, NULL);
	assert_int_equal(send_all(), 3);
	assert_int_equal(lane.sent_bytes, 3 * one);
	assert_true(lane_ack(&lane, 2, 4 * one, on_durable, NULL));
	assert_int_equal(durable, 2);
	assert_int_equal(send_all(), 1);
	assert_true(lane_ack(&lane, 2, 100 * one, on_durable, NULL)); /* the same again */
	assert_int_equal(send_all(), 1);
	assert_false(lane_ack(&lane, 6, 0, on_durable, NULL)); /* of what was not sent */
	assert_true(lane_ack(&lane, 5, 0, on_durable, NULL));
	assert_int_equal(durable, 5);
	assert_int_equal(lane.memory_bytes, 0);
	assert_int_equal(lane_first(&lane, 0), 6);
}

static void test_a_connection_lost(void **state)
{
	(void)state;
	push(0, 6);
	lane_opened(&lane, 1, 1 << 20, on_durable, NULL);
	assert_int_equal(send_all(), 6);
	assert_true(lane_ack(&lane, 1, 0, on_durable, NULL));
	lane_reset(&lane);
	assert_int_equal(lane_first(&lane, 0), 2);
	/* the daemon had more than it had acknowledged */
	lane_opened(&lane, 4, 1 << 20, on_durable, NULL);
	assert_int_equal(durable, 3);
	assert_int_equal(send_all(), 3);
	/* a daemon that knows of numbers which this program has forgotten */
	lane_reset(&lane);
	lane_opened(&lane, 20, 1 << 20, on_durable, NULL);
	assert_int_equal(lane.next, 20);
	push(19, 1);
	assert_int_equal(item_first(&lane.items)->header.seq, 20);
}

static void test_another_session(void **state)
{
	(void)state;
	push(0, 4);
	lane_opened(&lane, 3, 1 << 20, on_durable, NULL);
	lane_reset(&lane);
	lane_renew(&lane, 99, lane_first(&lane, 0) - 1);
	lane_opened(&lane, 1, 1 << 20, on_durable, NULL);
	struct item *item = lane_sendable(&lane);
	assert_int_equal(item->number, 3);
	assert_int_equal(send_all(), 2);
	assert_int_equal(item->header.session, 99);
	assert_int_equal(item->header.seq, 1);
	assert_true(lane_ack(&lane, 2, 0, on_durable, NULL));
	assert_int_equal(lane.durable, 4);
}

static void test_damage_in_memory(void **state)
{
	(void)state;
	push(0, 3);
	struct item *item = item_first(&lane.items);
	item->body->data[item->body->len - 1] ^= 1;
	lane_renew(&lane, 99, 0); /* a seal made anew must not cover it up */
	assert_int_equal(lane_prepare(&lane, item), ERR_CHECKSUM);
	lane_forget(&lane, item);
	assert_true(lane_must_renew(&lane));
	assert_int_equal(lane.lost_until, 1);
	lane_renew(&lane, 100, lane.lost_until);
	lane_opened(&lane, 1, 1 << 20, on_durable, NULL);
	assert_int_equal(send_all(), 2);
}

static void test_a_run_given_up(void **state)
{
	(void)state;
	push(0, 6); /* sync, not, sync, not ... */
	lane_opened(&lane, 2, 1 << 20, on_durable, NULL);
	lane_reset(&lane);
	assert_int_equal(lane_discard_run(&lane), 1); /* what hung on the one that is durable */
	assert_int_equal(lane_discard_run(&lane), 2);
	assert_true(lane_must_renew(&lane));
	lane_renew(&lane, 99, lane.lost_until);
	assert_int_equal(item_first(&lane.items)->number, 5);
	lane_opened(&lane, 1, 1 << 20, on_durable, NULL);
	assert_int_equal(send_all(), 2);
	/* nothing but the run: what comes is judged as it comes */
	lane_reset(&lane);
	assert_int_equal(lane_discard_run(&lane), 2);
	assert_true(lane.discarding);
}

static void test_what_the_spool_has(void **state)
{
	(void)state;
	push(0, 5);
	lane_opened(&lane, 1, 2500, on_durable, NULL);
	assert_int_equal(send_all(), 2);
	/* all go to disk: two are kept for their acknowledgement, three are read again */
	for (struct item *item; (item = lane_first_in_memory(&lane));)
		lane_spooled(&lane, item);
	assert_int_equal(lane.memory_bytes, 0);
	assert_int_equal(lane.read_next, 3);
	assert_null(lane_sendable(&lane));
	push(5, 1); /* later: behind what the spool has */
	struct item *read = made_item(2, 1000);
	read->number = 3;
	read->in_spool = true;
	lane_renew(&lane, 77, 0);
	assert_true(lane_load(&lane, read));
	assert_ptr_equal(lane.unsent, read);
	assert_int_equal(lane.read_next, 4);
	lane.credit = 1 << 20;
	struct item *item = lane_sendable(&lane);
	assert_ptr_equal(item, read);
	assert_int_equal(lane_prepare(&lane, item), 0);
	lane_sent(&lane, item, item->init);
	assert_null(read->body);
	assert_int_equal(lane.loaded_bytes, 0);
	lane_reset(&lane);
	assert_int_equal(lane.read_next, 1);
	assert_int_equal(item_first(&lane.items)->number, 6);
}

static void test_damage_in_the_spool(void **state)
{
	(void)state;
	lane.next = 9;
	lane_opened(&lane, 1, 1 << 20, on_durable, NULL);
	struct item *read = made_item(0, 100);
	read->number = 1;
	read->in_spool = true;
	assert_true(lane_load(&lane, read));
	lane_lose(&lane, 2, 2);
	read = made_item(3, 100);
	read->number = 3;
	assert_false(lane_load(&lane, read)); /* not a sync one */
	read = made_item(4, 100);
	read->number = 4;
	read->in_spool = true;
	assert_true(lane_load(&lane, read));
	assert_int_equal(send_all(), 1); /* what is after the break waits */
	assert_false(lane_must_renew(&lane));
	assert_true(lane_ack(&lane, 1, 0, on_durable, NULL));
	assert_true(lane_must_renew(&lane));
	assert_int_equal(lane.lost_until, 3);
	lane_renew(&lane, 99, lane.lost_until);
	assert_int_equal(lane.durable, 3);
	lane_reset(&lane);
	assert_int_equal(lane.read_next, 4);
}

static void test_delivered(void **state)
{
	(void)state;
	struct delivered d = {0};
	bool was;
	static const struct {
		uint64_t session, seq;
		bool was;
	} steps[] = {{1, 5, false}, {1, 6, false}, {1, 5, true}, {1, 3, false}, {1, 4, false},
		{2, 4, false}, {1, 3, true}, {1, 7, false}, {1, 10, false}, {1, 8, false},
		{1, 9, false}, {1, 10, true}, {1, 8, true}, {2, 5, false}, {2, 4, true},
		{1, 6, true}};
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		assert_int_equal(delivered_add(&d, steps[i].session, steps[i].seq, &was), 0);
		assert_int_equal(was, steps[i].was);
	}
	for (uint64_t i = 0; i < 3 * DELIVERED_RANGES_MAX; i++)
		assert_int_equal(delivered_add(&d, 3, 2 * i + 1, &was), 0);
	assert_true(d.count <= DELIVERED_RANGES_MAX);
	assert_int_equal(delivered_add(&d, 3, 6 * DELIVERED_RANGES_MAX - 1, &was), 0);
	assert_true(was);
	delivered_fini(&d);
	delivered_fini(&d);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_numbers_credit_and_acknowledgement),
		TEST(test_a_connection_lost),
		TEST(test_another_session),
		TEST(test_damage_in_memory),
		TEST(test_a_run_given_up),
		TEST(test_what_the_spool_has),
		TEST(test_damage_in_the_spool),
		TEST(test_delivered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
