/* SPDX-License-Identifier: Apache-2.0 */
/* Random sequences of operations that two stores are asked alike: drawn from a seed, run, compared
 * after each step, and when an answer differs shortened to what is needed for it.
 *
 * An operation is plain data that means something whatever came before it (offsets are said by the
 * object's size then), so that a sequence with some of them left out is a sequence too. */
#pragma once

#include <stdio.h>

#include "tests/unit/store/probe.h"

#define SEQUENCE_OBJECTS 6 /* in each pool */
#define SEQUENCE_SIDE    3 /* guards and attributes of a write at most */
#define SEQUENCE_PARTS   4 /* of a body */
#define SEQUENCE_MOST    256

enum sequence_what { SEQUENCE_WRITE, SEQUENCE_READ, SEQUENCE_LIST };
enum sequence_where { SEQUENCE_AT_END, SEQUENCE_AT_START, SEQUENCE_INSIDE, SEQUENCE_BEYOND };

struct sequence_op {
	uint8_t what, pool, object; /* of a listing: which prefix */
	uint8_t where;              /* of what is written or read */
	uint32_t shift;             /* inside: 65,536ths of the size; beyond: bytes past the end */
	uint32_t len;               /* of a read */
	uint8_t body_kind, guard_count, attr_count, part_count;
	struct {
		uint8_t kind, attr, value;
	} guards[SEQUENCE_SIDE];
	struct {
		uint8_t attr, value;
	} attrs[SEQUENCE_SIDE];
	uint32_t parts[SEQUENCE_PARTS]; /* bytes; what they are follows from `bytes` */
	uint32_t bytes;
};

enum sequence_mix {
	SEQUENCE_ANY,
	SEQUENCE_FULL, /* on a pool without room: nothing that would make some, no growth so small
			  that it might still fit */
};

/* The two stores, and where in them. */
struct sequence_pair {
	struct probe *model, *real;
	const char *prefix;
	unsigned attempt; /* runs so far: each has objects of its own, unless it `stays` */
	bool stays;       /* a full pool cannot be made full alike again: the same objects */
	int full_pool;    /* then: which */
};

struct sequence {
	uint64_t seed;
	struct sequence_op ops[SEQUENCE_MOST];
	unsigned count;
};

/* `count` operations, at most SEQUENCE_MOST; the same whatever the stores. `full_pool`: the one pool
 * that SEQUENCE_FULL is about. */
void sequence_draw(
	struct sequence *s, uint64_t seed, unsigned count, enum sequence_mix mix, int full_pool);
/* The name of an object in the pair's present attempt. */
void sequence_name(const struct sequence_pair *pair, unsigned object, char *to, size_t size);
/* Runs it on both; the number of the first operation whose answer or effect differs, with words in
 * `why`, or the count when all is the same. */
unsigned sequence_run(
	struct sequence_pair *pair, const struct sequence *s, char *why, size_t why_size);
/* Leaves out what is not needed for the difference, running it again and again. */
void sequence_shorten(struct sequence_pair *pair, struct sequence *s);
/* A line an operation. */
void sequence_print(FILE *to, const struct sequence *s);
/* All of it: fails the test with the seed and the shortened sequence when the stores differ. */
void sequence_check(
	struct sequence_pair *pair, uint64_t seed, unsigned count, enum sequence_mix mix);
