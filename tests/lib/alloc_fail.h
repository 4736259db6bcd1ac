/* SPDX-License-Identifier: Apache-2.0 */
/* An allocator that fails on demand. It replaces malloc, calloc, realloc, strdup, strndup,
 * aligned_alloc and posix_memalign in the objects of a test program linked with the meson
 * dependency `alloc_fail` (shared libraries keep the real ones). Leaks on the failure paths are the
 * sanitizer's to find. */
#pragma once

#include <stdbool.h>

enum alloc_fail_mode {
	ALLOC_FAIL_ONCE, /* one allocation fails, the next ones work again */
	ALLOC_FAIL_ON,   /* from there on all fail */
};

/* The allocation after the next `k` fails. Counts those of all threads. */
void alloc_fail_after(unsigned k, enum alloc_fail_mode mode);
/* Between true and false nothing fails nor counts: for the parts of a test that are not what is
 * tested. */
void alloc_fail_suspend(bool suspended);
/* Allocations work again. True when one has failed since alloc_fail_after. */
bool alloc_fail_stop(void);

/* Runs scenario(user) with the first allocation failing, then with the second and so on, until one
 * run sees no failure; once for each mode. The scenario must itself clean up and check that the
 * failure was handled. */
void alloc_fail_sweep(void (*scenario)(void *user), void *user);
