/* SPDX-License-Identifier: Apache-2.0 */
/* What a partition inherits from the head's holds. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/errors.h"
#include "storaged/archive/pins.h"
#include "tests/lib/alloc_fail.h"

#define DAY 20780

static struct wall at(int32_t day, int64_t seconds)
{
	return (struct wall){day * US_PER_DAY + seconds * US_PER_SECOND};
}

static void test_which_days_a_hold_touches(void **state)
{
	(void)state;
	assert_true(pins_touch(at(DAY, 0), at(DAY, 60), DAY));
	/* a chunk of the day before may reach into the span */
	assert_true(pins_touch(at(DAY, 0), at(DAY, 60), DAY - 1));
	assert_false(pins_touch(at(DAY, 3600), at(DAY, 3660), DAY - 1));
	assert_false(pins_touch(at(DAY, 0), at(DAY, 60), DAY - 2));
	assert_false(pins_touch(at(DAY, 0), at(DAY, 60), DAY + 1));
	assert_true(pins_touch(at(DAY, 0), at(DAY + 5, 60), DAY + 3));
	assert_true(pins_touch((struct wall){0}, at(0, 60), 0));
}

static struct head with_holds(void)
{
	struct head head = {.hold_count = 3};
	for (unsigned i = 0; i < 3; i++) {
		memset(head.holds[i].id, 'a' + (int)i, sizeof(head.holds[i].id));
		head.holds[i].from = at(DAY, 3600);
		head.holds[i].to = at(DAY, 7200);
	}
	head.holds[0].state = HOLD_PLACED;
	head.holds[1].state = HOLD_RELEASING;
	head.holds[2].state = HOLD_PLACING;
	return head;
}

static void test_holds_become_pins_once(void **state)
{
	(void)state;
	struct head head = with_holds();
	struct buf *first = NULL, *again = NULL, *none = NULL;
	assert_int_equal(pins_add_holds(NULL, 0, &head, DAY, &first), 0);
	assert_int_equal(first->len, 2 * PIN_SIZE); /* not the one being released */
	assert_int_equal(first->data[0], 'a');
	assert_int_equal(first->data[PIN_SIZE], 'c');
	assert_int_equal(pins_add_holds(first->data, first->len, &head, DAY, &again), 0);
	assert_int_equal(again->len, first->len);
	assert_memory_equal(again->data, first->data, first->len);
	assert_int_equal(pins_add_holds(NULL, 0, &head, DAY + 2, &none), 0);
	assert_int_equal(none->len, 0);
	buf_unref(&first);
	buf_unref(&again);
	buf_unref(&none);
}

static void test_limits(void **state)
{
	(void)state;
	static uint8_t full[STORE_ATTR_VALUE_MAX];
	struct head head = with_holds();
	struct buf *pins = NULL;
	memset(full, 'x', sizeof(full));
	assert_int_equal(pins_add_holds(full, sizeof(full), &head, DAY, &pins), ERR_LIMIT);
	assert_int_equal(pins_add_holds(full, PIN_SIZE + 1, &head, DAY, &pins), ERR_FORMAT);
	alloc_fail_after(0, ALLOC_FAIL_ONCE);
	assert_int_equal(pins_add_holds(NULL, 0, &head, DAY, &pins), -ENOMEM);
	alloc_fail_stop();
	assert_null(pins);
}

static void test_what_a_hold_covers(void **state)
{
	(void)state;
	struct head head = with_holds(), none = {0};
	struct buf *pins = NULL;
	assert_int_equal(pins_add_holds(NULL, 0, &head, DAY, &pins), 0);
	for (unsigned in_head = 0; in_head < 2; in_head++) {
		const struct head *h = in_head ? &head : &none;
		const void *p = in_head ? NULL : pins->data;
		size_t len = in_head ? 0 : pins->len;
		assert_true(pins_hold(p, len, h, at(DAY, 3590), at(DAY, 3601)));
		assert_true(pins_hold(p, len, h, at(DAY, 7199), at(DAY, 7300)));
		assert_false(pins_hold(p, len, h, at(DAY, 3500), at(DAY, 3600)));
		assert_false(pins_hold(p, len, h, at(DAY, 7200), at(DAY, 7300)));
	}
	assert_false(pins_hold(NULL, 0, &none, at(DAY, 0), at(DAY + 1, 0)));
	/* one that cannot be read holds everything */
	assert_true(pins_hold(pins->data, pins->len - 1, &none, at(DAY, 0), at(DAY, 1)));
	buf_unref(&pins);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_which_days_a_hold_touches),
		cmocka_unit_test(test_holds_become_pins_once),
		cmocka_unit_test(test_what_a_hold_covers),
		cmocka_unit_test(test_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
