/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "storaged/archive/gaps.h"

#define PIECES_MAX (INDEX_GAPS_MAX + 1) /* of footage in a record, and of claims */

/* --- open chunks --- */

/* A copy of the first `fragments` fragments and of their samples. */
static int copy_table(
	const struct chunk_table *from, uint32_t fragments, struct chunk_table **ret_table)
{
	CHECK(fragments <= from->fragment_count);
	struct chunk_table *t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->session = fragments ? from->session : 0;
	t->track_count = from->track_count;
	if (fragments) {
		t->fragments = malloc(fragments * sizeof(*t->fragments));
		if (!t->fragments)
			goto fail;
		memcpy(t->fragments, from->fragments, fragments * sizeof(*t->fragments));
		t->fragment_count = t->fragment_room = fragments;
	}
	for (uint8_t i = 0; i < from->track_count; i++) {
		struct table_track *track = &t->tracks[i];
		track->timescale = from->tracks[i].timescale;
		uint32_t count = 0;
		if (fragments) {
			const struct table_fragment *last = &from->fragments[fragments - 1];
			count = last->run[i].first_sample + last->run[i].sample_count;
		}
		if (count == 0)
			continue;
		track->samples = malloc(count * sizeof(*track->samples));
		if (!track->samples)
			goto fail;
		memcpy(track->samples, from->tracks[i].samples, count * sizeof(*track->samples));
		track->sample_count = track->sample_room = count;
	}
	*ret_table = t;
	return 0;
fail:
	chunk_table_fini(t);
	free(t);
	return -ENOMEM;
}

int view_chunk_open(const struct view_open *from, struct view_chunk *ret_chunk)
{
	struct view_chunk c = {.open = true};
	int rc = copy_table(from->table, from->fragments, &c.table);
	if (rc < 0)
		return rc;
	struct chunk_seal seal = {0};
	rc = chunk_seal_fill(&seal, c.table);
	if (rc < 0) {
		view_chunk_fini(&c);
		return rc;
	}
	const struct chunk_header header = {
		.id = from->id, .lane = from->lane, .gap_before = from->gap_before};
	const struct index_source source = {
		.header = &header,
		.seal = &seal,
		.table = c.table,
		.pool = STORE_DATA,
		.bytes = from->len,
		.head_len = from->head_len,
		.init_crc = from->init ? crc32c(0, from->init->data, from->init->len) : 0,
	};
	index_record_make(&source, &c.record);
	c.init = from->init ? buf_ref(from->init) : NULL;
	*ret_chunk = c;
	return 0;
}

void view_chunk_fini(struct view_chunk *c)
{
	if (c->table)
		chunk_table_fini(c->table);
	free(c->table);
	c->table = NULL;
	buf_unref(&c->init);
}

/* --- copies --- */

static int compare_ids(const struct chunk_id *a, const struct chunk_id *b)
{
	if (a->epoch != b->epoch)
		return a->epoch < b->epoch ? -1 : 1;
	return (a->seq > b->seq) - (a->seq < b->seq);
}

/* By id; of one chunk what the index says before what its open copy says, the latest copy first. */
static int compare_by_id(const void *a, const void *b)
{
	const struct view_chunk *x = a, *y = b;
	int order = compare_ids(&x->record.chunk, &y->record.chunk);
	if (order == 0)
		order = (x->open > y->open) - (x->open < y->open);
	if (order == 0)
		order = (x->record.chunk.gen < y->record.chunk.gen) -
			(x->record.chunk.gen > y->record.chunk.gen);
	return order;
}

static int compare_by_start(const void *a, const void *b)
{
	const struct view_chunk *x = a, *y = b;
	if (x->record.start.us != y->record.start.us)
		return x->record.start.us < y->record.start.us ? -1 : 1;
	return compare_ids(&x->record.chunk, &y->record.chunk);
}

static int compare_by_session(const void *a, const void *b)
{
	const struct view_chunk *x = a, *y = b;
	if (x->record.session != y->record.session)
		return x->record.session < y->record.session ? -1 : 1;
	if (x->record.first_seq != y->record.first_seq)
		return x->record.first_seq < y->record.first_seq ? -1 : 1;
	return compare_ids(&x->record.chunk, &y->record.chunk);
}

/* Leaves one of each chunk; the others are freed. */
static size_t drop_same(struct view_chunk *chunks, size_t count)
{
	size_t kept = 0;
	qsort(chunks, count, sizeof(*chunks), compare_by_id);
	for (size_t i = 0; i < count; i++) {
		if (kept &&
			compare_ids(&chunks[kept - 1].record.chunk, &chunks[i].record.chunk) == 0)
			view_chunk_fini(&chunks[i]);
		else
			chunks[kept++] = chunks[i];
	}
	return kept;
}

static uint64_t last_seq(const struct view_chunk *c)
{
	return c->record.first_seq + c->record.fragments - 1;
}

/* One range is enough: chunks of a later epoch go on where each other end. Of two that do not touch
 * the second stays shown twice, which does no harm; to hide what lies between would. */
static void hide(struct view_chunk *c, uint64_t first, uint64_t last)
{
	if (first < c->record.first_seq)
		first = c->record.first_seq;
	if (last > last_seq(c))
		last = last_seq(c);
	if (!c->hidden_first) {
		c->hidden_first = first;
		c->hidden_last = last;
	} else if (first <= c->hidden_last + 1 && last + 1 >= c->hidden_first) {
		if (first < c->hidden_first)
			c->hidden_first = first;
		if (last > c->hidden_last)
			c->hidden_last = last;
	}
}

/* Of fragments that two chunks hold the copy of the higher epoch counts; a chunk of which nothing
 * counts is dropped. */
static size_t drop_repeated(struct view_chunk *chunks, size_t count)
{
	qsort(chunks, count, sizeof(*chunks), compare_by_session);
	for (size_t i = 0; i < count; i++) {
		for (size_t k = i + 1;
			k < count && chunks[k].record.session == chunks[i].record.session &&
			chunks[k].record.first_seq <= last_seq(&chunks[i]);
			k++) {
			bool later =
				compare_ids(&chunks[i].record.chunk, &chunks[k].record.chunk) < 0;
			struct view_chunk *loser = &chunks[later ? i : k],
					  *winner = &chunks[later ? k : i];
			hide(loser, winner->record.first_seq, last_seq(winner));
		}
	}
	size_t kept = 0;
	for (size_t i = 0; i < count; i++) {
		if (chunks[i].hidden_first == chunks[i].record.first_seq &&
			chunks[i].hidden_last == last_seq(&chunks[i]))
			view_chunk_fini(&chunks[i]);
		else
			chunks[kept++] = chunks[i];
	}
	return kept;
}

/* --- making --- */

static bool has_footage(const struct index_record *r)
{
	return r->state == INDEX_LIVE && !(r->flags & INDEX_EMPTY) && r->fragments > 0;
}

/* What is dropping has passed its ceiling: it is gone for whoever looks. Tombstones and husks do not become chunks, but a chunk that has become one must not be shown from
 * its open copy. */
static size_t collect_chunks(const struct view_evidence *e, struct view_chunk *chunks)
{
	size_t count = 0;
	for (size_t i = 0; i < e->record_count; i++)
		chunks[count++].record = e->records[i];
	for (size_t i = 0; i < e->open_count; i++)
		chunks[count++] = e->open[i];
	count = drop_same(chunks, count);
	size_t kept = 0;
	for (size_t i = 0; i < count; i++) {
		if (has_footage(&chunks[i].record))
			chunks[kept++] = chunks[i];
		else
			view_chunk_fini(&chunks[i]);
	}
	return drop_repeated(chunks, kept);
}

static size_t keep_window(const struct view_evidence *e, struct view_chunk *chunks, size_t count)
{
	size_t kept = 0;
	for (size_t i = 0; i < count; i++) {
		if (chunks[i].record.start.us < e->to.us && chunks[i].record.end.us > e->from.us)
			chunks[kept++] = chunks[i];
		else
			view_chunk_fini(&chunks[i]);
	}
	qsort(chunks, kept, sizeof(*chunks), compare_by_start);
	return kept;
}

/* Footage outside of the window counts: it says where a hole that the window lies in began and why. */
static int find_gaps(const struct view_evidence *e, const struct view_chunk *chunks, size_t count,
	struct view *v)
{
	size_t pieces = (count + e->record_count) * PIECES_MAX + 1;
	struct gap_cover *covers = calloc(pieces, sizeof(*covers)), none[PIECES_MAX];
	struct gap *claims = calloc(pieces, sizeof(*claims));
	struct gap_question q = {.covers = covers, .claims = claims, .from = e->from, .to = e->to};
	int rc = -ENOMEM;
	if (!covers || !claims)
		goto fail;
	for (size_t i = 0; i < count; i++) {
		size_t n, m;
		gaps_of_record(
			&chunks[i].record, &covers[q.cover_count], &n, &claims[q.claim_count], &m);
		q.cover_count += n;
		q.claim_count += m;
	}
	for (size_t i = 0; i < e->record_count; i++) {
		size_t n, m;
		if (has_footage(&e->records[i]))
			continue;
		gaps_of_record(&e->records[i], none, &n, &claims[q.claim_count], &m);
		q.claim_count += m;
	}
	if (e->open_gap.cause != GAP_NONE)
		claims[q.claim_count++] = (struct gap){e->open_gap.from, e->now, e->open_gap.cause};
	rc = gaps_find(&q, &v->gaps, &v->gap_count);
	for (size_t i = 0; rc == 0 && e->damaged && i < v->gap_count; i++)
		if (v->gaps[i].cause == GAP_UNKNOWN)
			v->gaps[i].cause = GAP_DAMAGED;
fail:
	free(covers);
	free(claims);
	return rc;
}

int view_make(const struct view_evidence *e, struct view **ret_view)
{
	struct view *v = calloc(1, sizeof(*v));
	struct view_chunk *chunks = calloc(e->record_count + e->open_count + 1, sizeof(*chunks));
	if (!v || !chunks) {
		for (size_t i = 0; i < e->open_count; i++)
			view_chunk_fini(&e->open[i]);
		free(v);
		free(chunks);
		return -ENOMEM;
	}
	strcpy(v->stream, e->stream);
	v->from = e->from;
	v->to = e->to;
	v->exists = e->exists;
	v->damaged = e->damaged;
	v->chunks = chunks;
	v->chunk_count = collect_chunks(e, chunks);
	for (size_t i = 0; i < e->open_count; i++)
		e->open[i] = (struct view_chunk){0};
	int rc = find_gaps(e, chunks, v->chunk_count, v);
	if (rc < 0) {
		view_free(&v);
		return rc;
	}
	v->chunk_count = keep_window(e, chunks, v->chunk_count);
	*ret_view = v;
	return 0;
}

void view_free(struct view **view)
{
	struct view *v = *view;
	if (!v)
		return;
	for (size_t i = 0; i < v->chunk_count; i++)
		view_chunk_fini(&v->chunks[i]);
	free(v->chunks);
	free(v->gaps);
	free(v);
	*view = NULL;
}

/* --- spans --- */

struct piece {
	struct view_span span;
	int64_t slack_us;
};

static int compare_pieces(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;
	return (x->span.start.us > y->span.start.us) - (x->span.start.us < y->span.start.us);
}

static uint64_t share(uint64_t whole, int64_t part_us, int64_t all_us)
{
	return all_us > 0
		       ? (uint64_t)((unsigned __int128)whole * (uint64_t)part_us / (uint64_t)all_us)
		       : whole;
}

/* The pieces of a chunk that lie in the window. Bytes and fragments are shared out by time; the
 * last piece has what is left over, so that a chunk which lies wholly inside is counted exactly. */
static size_t cut_chunk(
	const struct view *v, const struct view_chunk *c, struct piece pieces[PIECES_MAX])
{
	struct gap_cover covers[PIECES_MAX];
	struct gap claims[PIECES_MAX];
	size_t count, claim_count, made = 0;
	gaps_of_record(&c->record, covers, &count, claims, &claim_count);
	int64_t all_us = 0, used_us = 0;
	uint64_t used_bytes = 0, used_fragments = 0;
	for (size_t i = 0; i < count; i++)
		all_us += covers[i].to.us - covers[i].from.us;
	for (size_t i = 0; i < count; i++) {
		int64_t from = covers[i].from.us > v->from.us ? covers[i].from.us : v->from.us;
		int64_t to = covers[i].to.us < v->to.us ? covers[i].to.us : v->to.us;
		if (from >= to)
			continue;
		used_us += to - from;
		uint64_t bytes = share(c->record.bytes, used_us, all_us);
		uint64_t fragments = share(c->record.fragments, used_us, all_us);
		pieces[made++] = (struct piece){
			{{from}, {to}, bytes - used_bytes, (uint32_t)(fragments - used_fragments)},
			covers[i].slack_us};
		used_bytes = bytes;
		used_fragments = fragments;
	}
	return made;
}

int view_spans(const struct view *view, struct view_span **ret_spans, size_t *ret_count)
{
	struct piece *pieces = calloc(view->chunk_count * PIECES_MAX + 1, sizeof(*pieces));
	size_t count = 0, merged = 0;
	if (!pieces)
		return -ENOMEM;
	for (size_t i = 0; i < view->chunk_count; i++)
		count += cut_chunk(view, &view->chunks[i], &pieces[count]);
	qsort(pieces, count, sizeof(*pieces), compare_pieces);
	struct view_span *spans = calloc(count + 1, sizeof(*spans));
	if (!spans) {
		free(pieces);
		return -ENOMEM;
	}
	int64_t slack_us = 0;
	for (size_t i = 0; i < count; i++) {
		const struct piece *p = &pieces[i];
		struct view_span *last = merged ? &spans[merged - 1] : NULL;
		if (!last || p->span.start.us - last->end.us > slack_us) {
			spans[merged++] = p->span;
			slack_us = p->slack_us;
			continue;
		}
		last->bytes += p->span.bytes;
		last->fragments += p->span.fragments;
		if (p->span.end.us >= last->end.us) {
			last->end = p->span.end;
			slack_us = p->slack_us;
		}
	}
	free(pieces);
	*ret_spans = spans;
	*ret_count = merged;
	return 0;
}
