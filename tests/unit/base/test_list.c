/* SPDX-License-Identifier: Apache-2.0 */
#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct item {
	int number;
	struct list node;
};

static void assert_numbers(const struct list *l, const char *digits)
{
	char found[20] = "";
	size_t n = 0;
	list_each (node, l)
		found[n++] = (char)('0' + list_entry(node, struct item, node)->number);
	assert_string_equal(found, digits);
	/* and backwards */
	for (struct list *node = l->prev; node != l; node = node->prev)
		assert_int_equal(list_entry(node, struct item, node)->number, digits[--n] - '0');
	assert_int_equal(n, 0);
}

static void nodes_come_in_order(void **state)
{
	(void)state;
	struct item items[6];
	struct list a, b;
	list_init(&a);
	list_init(&b);
	assert_true(list_empty(&a));
	assert_null(list_pop(&a));
	for (int i = 0; i < 6; i++)
		items[i].number = i;
	list_append(&a, &items[1].node);
	list_append(&a, &items[2].node);
	list_prepend(&a, &items[0].node);
	assert_numbers(&a, "012");
	list_splice(&b, &a);
	assert_true(list_empty(&a));
	assert_numbers(&b, "012");
	list_splice(&b, &a); /* of an empty one */
	list_append(&a, &items[3].node);
	list_append(&a, &items[4].node);
	list_splice(&b, &a);
	assert_numbers(&b, "01234");
	list_remove(&items[2].node);
	list_remove(&items[2].node); /* twice is harmless */
	assert_numbers(&b, "0134");
	assert_ptr_equal(list_pop(&b), &items[0].node);
	list_each_safe (node, &b)
		if (list_entry(node, struct item, node)->number != 3)
			list_remove(node);
	assert_numbers(&b, "3");
	list_remove(&items[3].node);
	assert_true(list_empty(&b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(nodes_come_in_order)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
