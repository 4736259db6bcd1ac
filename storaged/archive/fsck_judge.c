/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/fsck_judge.h"

#include <stdlib.h>
#include <string.h>

/* Flags that derive from the chunk alone. */
#define MEDIA_FLAGS                                                                                \
	(INDEX_EMPTY | INDEX_BACKFILL | INDEX_DOUBTFUL | INDEX_CLOCK_BACK | INDEX_DAMAGED |        \
		INDEX_RECOVERED)

static bool same_gap(const struct gap *a, const struct gap *b)
{
	return a->cause == b->cause && a->from.us == b->from.us && a->to.us == b->to.us;
}

bool fsck_same_media(const struct index_record *a, const struct index_record *b)
{
	if (a->start.us != b->start.us || a->end.us != b->end.us ||
		a->retention.us != b->retention.us || a->bytes != b->bytes ||
		a->seal_offset != b->seal_offset || a->fragments != b->fragments ||
		a->session != b->session || a->first_seq != b->first_seq ||
		a->head_len != b->head_len || a->init_crc != b->init_crc || a->lane != b->lane ||
		a->end_reason != b->end_reason || ((a->flags ^ b->flags) & MEDIA_FLAGS) ||
		a->gap_count != b->gap_count || !same_gap(&a->gap_before, &b->gap_before))
		return false;
	for (uint8_t i = 0; i < a->gap_count; i++)
		if (!same_gap(&a->gaps[i], &b->gaps[i]))
			return false;
	return memcmp(a->samples, b->samples, sizeof(a->samples)) == 0 &&
	       memcmp(a->syncs, b->syncs, sizeof(a->syncs)) == 0 &&
	       memcmp(a->digest, b->digest, sizeof(a->digest)) == 0;
}

const char *fsck_judge_record(const struct index_record *r, const struct probe *p)
{
	if (r->bytes != p->size)
		return "size differs from the record";
	if (p->attrs_known && !p->attrs.sealed)
		return "chunk is in the index and not sealed";
	/* what was made of a damaged chunk is less than the record knows */
	if (p->sealed && p->record_known && (p->head_known || (r->flags & INDEX_EMPTY))) {
		struct index_record made = p->record;
		/* an empty chunk has no time of its own */
		if (r->flags & INDEX_EMPTY) {
			made.start = r->start;
			made.end = r->end;
			made.retention = r->retention;
			made.gap_before = r->gap_before;
			made.lane = r->lane;
			made.session = r->session;
			made.head_len = r->head_len;
			made.init_crc = r->init_crc;
		}
		if (!fsck_same_media(r, &made))
			return "record does not match its chunk";
	}
	return NULL;
}

static int compare_ids(const struct chunk_id *a, const struct chunk_id *b)
{
	if (a->epoch != b->epoch)
		return a->epoch < b->epoch ? -1 : 1;
	return (a->seq > b->seq) - (a->seq < b->seq);
}

static int compare_links(const void *a, const void *b)
{
	const struct fsck_link *x = a, *y = b;
	return compare_ids(&x->id, &y->id);
}

void fsck_links_sort(struct fsck_link *links, size_t count)
{
	if (count)
		qsort(links, count, sizeof(*links), compare_links);
}

bool fsck_link_is_broken(const struct fsck_link *links, size_t count, size_t i)
{
	static const uint8_t none[DIGEST_SIZE];
	if (!links[i].has_previous || memcmp(links[i].previous_digest, none, DIGEST_SIZE) == 0)
		return false;
	const struct fsck_link key = {.id = links[i].previous};
	const struct fsck_link *before = bsearch(&key, links, count, sizeof(*links), compare_links);
	return before && memcmp(before->digest, links[i].previous_digest, DIGEST_SIZE) != 0;
}

/* The last sealed chunk is either an intent still or in the index. */
bool fsck_was_indexed(const struct head *head)
{
	for (unsigned i = 0; i < head->intent_count; i++)
		if (compare_ids(&head->intents[i].chunk, &head->last_chunk) == 0)
			return false;
	return head->last_chunk.epoch != 0;
}
