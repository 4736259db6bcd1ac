/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <pthread.h>
#include <stdlib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/largebuf.h"
#include "tests/lib/alloc_fail.h"

static void references_are_counted(void **state)
{
	(void)state;
	struct buf *a = buf_copy("0123456789", 10), *b = buf_ref(a);
	assert_ptr_equal(a, b);
	struct slice s = slice_of(a, 2, 3);
	buf_unref(&a);
	assert_null(a);
	buf_unref(&b);
	assert_int_equal(s.len, 3);
	assert_memory_equal(s.data, "234", 3);
	slice_drop(&s);
	assert_null(s.buf);
	assert_null(s.data);
	slice_drop(&s); /* an empty one */
	buf_unref(&a);  /* nothing */
}

static void the_edges_are_inside(void **state)
{
	(void)state;
	struct buf *a = buf_new(4);
	struct slice s = slice_of(a, 4, 0);
	assert_int_equal(s.len, 0);
	slice_drop(&s);
	s = slice_of(a, 0, 4);
	slice_drop(&s);
	buf_unref(&a);
	a = buf_new(0);
	assert_non_null(a);
	assert_int_equal(a->len, 0);
	buf_unref(&a);
	a = buf_copy(NULL, 0);
	assert_non_null(a);
	buf_unref(&a);
	assert_null(buf_new(SIZE_MAX));
	assert_null(buf_new(SIZE_MAX - sizeof(struct buf) + 1));
}

/* A buffer whose bytes are elsewhere. */
struct foreign {
	struct buf buf;
	int released;
};

static void release(struct buf *b)
{
	container_of(b, struct foreign, buf)->released++;
}

static void foreign_bytes_are_given_back_once(void **state)
{
	(void)state;
	static uint8_t bytes[3];
	struct foreign f = {.buf = {.len = 3, .data = bytes, .release = release}};
	atomic_init(&f.buf.refs, 1);
	struct buf *b = &f.buf;
	struct slice s = slice_of(b, 1, 1);
	buf_unref(&b);
	assert_int_equal(f.released, 0);
	slice_drop(&s);
	assert_int_equal(f.released, 1);
}

static void *drop_many(void *arg)
{
	struct buf **refs = arg;
	for (int i = 0; i < 1000; i++)
		buf_unref(&refs[i]);
	return NULL;
}

static void references_may_be_dropped_on_any_thread(void **state)
{
	(void)state;
	static struct buf *refs[4][1000];
	pthread_t threads[4];
	struct buf *b = buf_new(100);
	for (int t = 0; t < 4; t++)
		for (int i = 0; i < 1000; i++)
			refs[t][i] = buf_ref(b);
	for (int t = 0; t < 4; t++)
		assert_int_equal(pthread_create(&threads[t], NULL, drop_many, refs[t]), 0);
	for (int t = 0; t < 4; t++)
		pthread_join(threads[t], NULL);
	assert_int_equal(atomic_load(&b->refs), 1);
	buf_unref(&b);
}

/* What is kept of large buffers is never in two hands, and never shorter than asked. */
static void *use_large_ones(void *arg)
{
	uint8_t mine = (uint8_t)(uintptr_t)arg;
	struct buf *held[4] = {NULL};
	for (size_t i = 0; i < 400; i++) {
		struct buf **slot = &held[i % 4];
		if (*slot) {
			for (size_t at = 0; at < (*slot)->len; at += 4096)
				assert_int_equal((*slot)->data[at], mine);
			assert_int_equal((*slot)->data[(*slot)->len - 1], mine);
		}
		buf_unref(slot);
		size_t len = (LARGEBUF_LEAST - 1) + i * 4999 % (LARGEBUF_LEAST * 9);
		*slot = buf_new(len);
		assert_non_null(*slot);
		assert_int_equal((*slot)->len, len);
		memset((*slot)->data, mine, len);
	}
	for (size_t i = 0; i < 4; i++)
		buf_unref(&held[i]);
	return NULL;
}

static void large_ones_are_used_again(void **state)
{
	(void)state;
	pthread_t threads[4];
	for (uintptr_t t = 0; t < 4; t++)
		assert_int_equal(
			pthread_create(&threads[t], NULL, use_large_ones, (void *)(t + 1)), 0);
	for (int t = 0; t < 4; t++)
		pthread_join(threads[t], NULL);
	struct buf *largest = buf_new(LARGEBUF_MOST), *beyond = buf_new(LARGEBUF_MOST + 1);
	memset(largest->data, 1, largest->len);
	memset(beyond->data, 1, beyond->len);
	buf_unref(&largest);
	buf_unref(&beyond);
}

static void memory_may_be_short(void **state)
{
	(void)state;
	alloc_fail_after(0, ALLOC_FAIL_ON);
	struct buf *a = buf_new(10), *b = buf_copy("x", 1), *c = buf_new(LARGEBUF_MOST / 2);
	assert_true(alloc_fail_stop());
	assert_null(a);
	assert_null(b);
	assert_null(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(references_are_counted),
		cmocka_unit_test(the_edges_are_inside),
		cmocka_unit_test(foreign_bytes_are_given_back_once),
		cmocka_unit_test(references_may_be_dropped_on_any_thread),
		cmocka_unit_test(large_ones_are_used_again), cmocka_unit_test(memory_may_be_short)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
