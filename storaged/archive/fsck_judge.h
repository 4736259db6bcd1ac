/* SPDX-License-Identifier: Apache-2.0 */
/* What fsck makes of what it saw: pure. */
#pragma once

#include "storaged/archive/head.h"
#include "storaged/archive/probe.h"

/* Words for the first thing in which a live record and its chunk, which was looked at, do not
 * agree; NULL when they do. */
const char *fsck_judge_record(const struct index_record *r, const struct probe *p);
/* Whether two records say the same of a chunk, in all that derives from its media. */
bool fsck_same_media(const struct index_record *a, const struct index_record *b);

/* Whether a chunk of the stream was indexed before the head was written. */
bool fsck_was_indexed(const struct head *head);

/* A chunk as a link of the chain of digests. */
struct fsck_link {
	struct chunk_id id, previous;
	bool has_previous;
	struct wall start, end;
	uint8_t digest[DIGEST_SIZE], previous_digest[DIGEST_SIZE];
};
/* Sorts the links. */
void fsck_links_sort(struct fsck_link *links, size_t count);
/* Of sorted links: whether link `i` carries another digest than the chunk it names has. A chunk
 * that is not among them proves nothing. */
bool fsck_link_is_broken(const struct fsck_link *links, size_t count, size_t i);
