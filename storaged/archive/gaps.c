/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/gaps.h"

#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "storaged/archive/index.h"

int64_t gap_slack_us(int64_t frame_us)
{
	return frame_us > GAP_LEAST_US / 2 ? 2 * frame_us : GAP_LEAST_US;
}

int64_t gap_frame_us(const struct fragment_header *h, uint32_t pictures)
{
	return pictures ? h->duration_us / pictures : 0;
}

/* --- tables and records --- */

static int64_t table_frame_us(const struct table_fragment *f)
{
	uint32_t pictures = f->run[0].sample_count;
	return pictures ? f->duration_us / pictures : 0;
}

size_t gaps_of_table(const struct chunk_table *t, uint32_t fragments, struct gap *gaps, size_t room)
{
	CHECK(fragments <= t->fragment_count);
	size_t count = 0;
	int64_t end = 0, frame_us = 0;
	for (uint32_t i = 0; i < fragments; i++) {
		const struct table_fragment *f = &t->fragments[i];
		if (i > 0 && f->capture.us - end > gap_slack_us(frame_us)) {
			bool told = f->gap_cause != GAP_NONE && f->gap_cause < GAP_CAUSES;
			uint8_t cause = told ? f->gap_cause : GAP_UNKNOWN;
			if (count < room)
				gaps[count] = (struct gap){{end}, f->capture, cause};
			count++;
		}
		if (f->capture.us + f->duration_us > end)
			end = f->capture.us + f->duration_us;
		frame_us = table_frame_us(f);
	}
	return count;
}

void gaps_of_record(const struct index_record *r, struct gap_cover *covers, size_t *ret_cover_count,
	struct gap *claims, size_t *ret_claim_count)
{
	size_t covered = 0, claimed = 0;
	if (r->state != INDEX_LIVE) {
		if (r->start.us < r->end.us)
			claims[claimed++] = (struct gap){r->start, r->end, GAP_EXPIRED};
	} else if (!(r->flags & INDEX_EMPTY)) {
		int64_t slack = gap_slack_us(index_record_frame_us(r));
		struct wall from = r->start;
		for (uint8_t i = 0; i < r->gap_count; i++) {
			/* a gap inside is longer than this in any case */
			covers[covered++] = (struct gap_cover){from, r->gaps[i].from, GAP_LEAST_US};
			claims[claimed++] = r->gaps[i];
			from = r->gaps[i].to;
		}
		covers[covered++] = (struct gap_cover){from, r->end, slack};
	}
	/* A tombstone's own hole is told in one piece; what was missing before it is told as it
	 * was. */
	if (r->gap_before.cause != GAP_NONE && r->gap_before.from.us < r->gap_before.to.us)
		claims[claimed++] = r->gap_before;
	*ret_cover_count = covered;
	*ret_claim_count = claimed;
}

/* --- covers --- */

static int compare_covers(const void *a, const void *b)
{
	const struct gap_cover *x = a, *y = b;
	if (x->from.us != y->from.us)
		return x->from.us < y->from.us ? -1 : 1;
	return (x->to.us > y->to.us) - (x->to.us < y->to.us);
}

size_t gap_covers_join(struct gap_cover *covers, size_t count)
{
	if (count == 0)
		return 0;
	qsort(covers, count, sizeof(*covers), compare_covers);
	size_t kept = 0;
	for (size_t i = 1; i < count; i++) {
		struct gap_cover *last = &covers[kept];
		if (covers[i].from.us - last->to.us > last->slack_us) {
			covers[++kept] = covers[i];
		} else if (covers[i].to.us >= last->to.us) {
			last->to = covers[i].to;
			last->slack_us = covers[i].slack_us;
		}
	}
	return kept + 1;
}

/* --- claims --- */

static int compare_claims(const void *a, const void *b)
{
	const struct gap *x = a, *y = b;
	if (x->from.us != y->from.us)
		return x->from.us < y->from.us ? -1 : 1;
	return (x->to.us > y->to.us) - (x->to.us < y->to.us);
}

static int compare_claims_expired_first(const void *a, const void *b)
{
	const struct gap *x = a, *y = b;
	bool ex = x->cause == GAP_EXPIRED, ey = y->cause == GAP_EXPIRED;
	return ex != ey ? (ex ? -1 : 1) : compare_claims(a, b);
}

/* Makes sorted claims disjoint: each keeps what those before it left. `join`: they are of one
 * cause. */
static size_t make_disjoint(struct gap *claims, size_t count, bool join)
{
	size_t kept = 0;
	for (size_t i = 0; i < count; i++) {
		struct gap g = claims[i];
		struct gap *last = kept ? &claims[kept - 1] : NULL;
		if (join && last && g.from.us - last->to.us <= GAP_LEAST_US) {
			if (g.to.us > last->to.us)
				last->to = g.to;
			continue;
		}
		if (last && g.from.us < last->to.us)
			g.from = last->to;
		if (g.from.us < g.to.us)
			claims[kept++] = g;
	}
	return kept;
}

/* Sorts the claims and writes disjoint ones to `out`, which has room for three times as many.
 * Returns how many. */
static size_t settle_claims(struct gap *claims, size_t count, struct gap *out)
{
	if (count == 0)
		return 0;
	qsort(claims, count, sizeof(*claims), compare_claims_expired_first);
	size_t expired = 0;
	while (expired < count && claims[expired].cause == GAP_EXPIRED)
		expired++;
	struct gap *others = claims + expired;
	size_t other_count = make_disjoint(others, count - expired, false);
	expired = make_disjoint(claims, expired, true);
	size_t n = 0, e = 0;
	for (size_t i = 0; i < other_count; i++) {
		struct gap rest = others[i];
		while (e < expired && claims[e].to.us <= rest.from.us)
			e++;
		for (size_t k = e; k < expired && claims[k].from.us < rest.to.us; k++) {
			if (rest.from.us < claims[k].from.us)
				out[n++] = (struct gap){rest.from, claims[k].from, rest.cause};
			rest.from = claims[k].to;
		}
		if (rest.from.us < rest.to.us)
			out[n++] = rest;
	}
	for (size_t i = 0; i < expired; i++)
		out[n++] = claims[i];
	qsort(out, n, sizeof(*out), compare_claims);
	return n;
}

/* --- holes --- */

struct finding {
	const struct gap *claims; /* disjoint, ascending */
	size_t claim_count, next; /* claims before `next` end before the hole at hand */
	struct gap *gaps;
	size_t count;
};

static void add_gap(struct finding *f, int64_t from, int64_t to, uint8_t cause)
{
	if (from >= to)
		return;
	struct gap *last = f->count ? &f->gaps[f->count - 1] : NULL;
	if (last && last->cause == cause && last->to.us == from)
		last->to.us = to;
	else
		f->gaps[f->count++] = (struct gap){{from}, {to}, cause};
}

/* Types the hole [from, to). `between`: there is footage on both sides, so that what no claim
 * covers is missing for an unknown cause; a sliver of it goes to the claim beside it. */
static void type_hole(struct finding *f, int64_t from, int64_t to, bool between)
{
	int64_t at = from;
	bool claimed = false;
	while (f->next < f->claim_count && f->claims[f->next].to.us <= from)
		f->next++;
	for (size_t i = f->next; i < f->claim_count && f->claims[i].from.us < to; i++) {
		const struct gap *c = &f->claims[i];
		int64_t begin = c->from.us > at ? c->from.us : at;
		int64_t end = c->to.us < to ? c->to.us : to;
		if (between && begin - at > GAP_LEAST_US)
			add_gap(f, at, begin, GAP_UNKNOWN);
		else if (between)
			begin = at;
		add_gap(f, begin, end, c->cause);
		at = end;
		claimed = true;
	}
	if (!between || at >= to)
		return;
	if (claimed && to - at <= GAP_LEAST_US)
		f->gaps[f->count - 1].to.us = to;
	else
		add_gap(f, at, to, GAP_UNKNOWN);
}

static void find_holes(struct finding *f, const struct gap_question *q, size_t covers)
{
	const int64_t from = q->from.us, to = q->to.us;
	int64_t at = from;
	for (size_t i = 0; i < covers && at < to; i++) {
		const struct gap_cover *c = &q->covers[i];
		int64_t end = c->from.us < to ? c->from.us : to;
		if (end > at)
			type_hole(f, at, end, i > 0);
		if (c->to.us > at)
			at = c->to.us;
	}
	if (at < to)
		type_hole(f, at, to, false);
}

int gaps_find(const struct gap_question *q, struct gap **ret_gaps, size_t *ret_count)
{
	struct gap *claims = calloc(3 * q->claim_count + 1, sizeof(*claims));
	/* a hole is cut by the ends of claims; each claim may begin and end one piece of unknown
	 * cause and be cut by two holes */
	size_t room = q->cover_count + 1 + 9 * q->claim_count + 1;
	struct gap *gaps = calloc(room, sizeof(*gaps));
	if (!claims || !gaps) {
		free(claims);
		free(gaps);
		return -ENOMEM;
	}
	struct finding f = {.claims = claims, .gaps = gaps};
	f.claim_count = settle_claims(q->claims, q->claim_count, claims);
	find_holes(&f, q, gap_covers_join(q->covers, q->cover_count));
	CHECK(f.count <= room);
	free(claims);
	*ret_gaps = gaps;
	*ret_count = f.count;
	return 0;
}
