/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/alloc_fail.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* The linker's --wrap sends each call of NAME to __wrap_NAME, which may call __real_NAME. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
void *__real_aligned_alloc(size_t alignment, size_t size);
int __real_posix_memalign(void **ret_p, size_t alignment, size_t size);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
int __wrap_posix_memalign(void **ret_p, size_t alignment, size_t size);

static atomic_bool armed, stays, hit, suspended;
static atomic_uint countdown;

static bool fails(void)
{
	if (!atomic_load(&armed) || atomic_load(&suspended))
		return false;
	if (atomic_load(&hit))
		return atomic_load(&stays);
	if (atomic_fetch_sub(&countdown, 1) != 0)
		return false;
	atomic_store(&hit, true);
	return true;
}

void *__wrap_malloc(size_t size)
{
	if (!fails())
		return __real_malloc(size);
	errno = ENOMEM;
	return NULL;
}

void *__wrap_calloc(size_t count, size_t size)
{
	if (!fails())
		return __real_calloc(count, size);
	errno = ENOMEM;
	return NULL;
}

void *__wrap_realloc(void *p, size_t size)
{
	if (!fails())
		return __real_realloc(p, size);
	errno = ENOMEM;
	return NULL;
}

char *__wrap_strdup(const char *s)
{
	if (!fails())
		return __real_strdup(s);
	errno = ENOMEM;
	return NULL;
}

char *__wrap_strndup(const char *s, size_t n)
{
	if (!fails())
		return __real_strndup(s, n);
	errno = ENOMEM;
	return NULL;
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	if (!fails())
		return __real_aligned_alloc(alignment, size);
	errno = ENOMEM;
	return NULL;
}

int __wrap_posix_memalign(void **ret_p, size_t alignment, size_t size)
{
	return fails() ? ENOMEM : __real_posix_memalign(ret_p, alignment, size);
}

void alloc_fail_after(unsigned k, enum alloc_fail_mode mode)
{
	atomic_store(&hit, false);
	atomic_store(&countdown, k);
	atomic_store(&stays, mode == ALLOC_FAIL_ON);
	atomic_store(&armed, true);
}

void alloc_fail_suspend(bool on)
{
	atomic_store(&suspended, on);
}

bool alloc_fail_stop(void)
{
	atomic_store(&armed, false);
	return atomic_load(&hit);
}

void alloc_fail_sweep(void (*scenario)(void *user), void *user)
{
	static const enum alloc_fail_mode modes[] = {ALLOC_FAIL_ONCE, ALLOC_FAIL_ON};
	for (size_t m = 0; m < sizeof(modes) / sizeof(modes[0]); m++) {
		for (unsigned k = 0;; k++) {
			alloc_fail_after(k, modes[m]);
			scenario(user);
			if (!alloc_fail_stop())
				break;
		}
	}
}
