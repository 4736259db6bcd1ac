/* SPDX-License-Identifier: Apache-2.0 */
/* What a viewer asks and takes, for tests of a whole daemon in virtual time; and how each of them
 * is run: once on one loop, once with streams pinned to two. */
#pragma once

#include "tests/unit/session/desk.h"

uint32_t ask_timeline(struct person *p, const char *stream, int64_t from_us, int64_t to_us);
/* `with`: what else the question says; NULL: nothing. */
uint32_t ask_fetch(struct person *p, const Steppe__Wire__Fetch *with, const char *stream,
	int64_t from_us, int64_t to_us);
/* Takes the fragments of a fetch up to its end (or `most` of them); their numbers in order. */
size_t take_fragments(struct person *p, uint32_t stream, uint64_t *seqs, size_t most);

unsigned loops_of(void **state);
static const unsigned one_loop = 1, two_loops = 2;
#define BOTH(test)                                                                                 \
	{#test " one loop", test, NULL, NULL, (void *)&one_loop},                                  \
	{                                                                                          \
#test " two loops", test, NULL, NULL, (void *)&two_loops                           \
	}
