/* SPDX-License-Identifier: Apache-2.0 */
/* Where footage has holes, and why. Pure. A hole is a gap when it is longer than two pictures and
 * than 500 ms; less is jitter. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/table.h"
#include "storaged/archive/chunk.h"

#define GAP_LEAST_US INT64_C(500000)

/* The longest hole that is jitter, where a picture lasts `frame_us` (0: not known). */
int64_t gap_slack_us(int64_t frame_us);
/* How long a picture lasts in a fragment of `pictures` samples of its first track. */
int64_t gap_frame_us(const struct fragment_header *h, uint32_t pictures);

/* The gaps between the first `fragments` fragments of a table, with their causes (GAP_UNKNOWN where
 * none is noted), at most `room`. Returns how many there are, which may be more. */
size_t gaps_of_table(
	const struct chunk_table *t, uint32_t fragments, struct gap *gaps, size_t room);

/* A stretch of footage without a gap inside. */
struct gap_cover {
	struct wall from, to;
	int64_t slack_us; /* what may be missing after it */
};
/* Sorts covers and joins those between which there is no gap; returns how many remain. */
size_t gap_covers_join(struct gap_cover *covers, size_t count);

struct index_record;
/* A record's stretches of footage (at most INDEX_GAPS_MAX + 1, none for an empty one or a
 * tombstone) and what it claims about holes: before it, inside it, and for a tombstone all of it
 * (likewise at most so many). */
void gaps_of_record(const struct index_record *r, struct gap_cover *covers, size_t *ret_cover_count,
	struct gap *claims, size_t *ret_claim_count);

/* What is known about missing footage and footage there is. Arrays are the caller's; they are
 * sorted in place. */
struct gap_question {
	struct gap_cover *covers;
	size_t cover_count;
	struct gap *claims; /* of two that overlap, GAP_EXPIRED counts, else the one that begins
			       first */
	size_t claim_count;
	struct wall from, to;
};
/* The typed gaps inside [from, to), ascending, none overlapping another: every hole between
 * footage, of unknown cause where no claim lies; and before the first and after the last footage
 * what is claimed. Gives an array (free); 0 or -ENOMEM. */
int gaps_find(const struct gap_question *q, struct gap **ret_gaps, size_t *ret_count);
