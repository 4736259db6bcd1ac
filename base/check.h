/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of what our own code guarantees. They stay on in release builds: a broken invariant stops
 * the node, bad input never does (input is parsed with `bytes` and refused with a code). */
#pragma once

#include <stddef.h>

/* Stops the process with the place and the words of a condition that can only fail by a mistake of
 * ours. */
#define CHECK(condition)                                                                           \
	((condition) ? (void)0 : check_failed(__FILE__, __LINE__, __func__, #condition))

/* The structure of type `type` in which `pointer` points at the member `member`. */
#define container_of(pointer, type, member)                                                        \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

_Noreturn void check_failed(
	const char *file, int line, const char *function, const char *condition);
