/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/errors.h"
#include "proto/refusal.h"
#include "storaged/archive/gaps.h"
#include "storaged/archive/writer_impl.h"

/* Records that a partition keeps free for chunks that an owner must be able to index: those of
 * takeovers. */
#define INDEX_RESERVE 100

static int refused(const struct writer *w)
{
	return w->state == WRITER_RECORDING ? 0 : -w->reason;
}

/* --- opening --- */

static bool same_bytes(const struct buf *a, const struct buf *b)
{
	return a && a->len == b->len && !memcmp(a->data, b->data, a->len);
}

/* Judges an init segment and makes it the lane's. */
static int set_init(struct lane *lane, struct buf *init)
{
	struct bmff_init parsed;
	if (same_bytes(lane->init, init))
		return 0;
	int rc = init->len <= FRAGMENT_INIT_MAX ? bmff_init_parse(init->data, init->len, &parsed)
						: ERR_LIMIT;
	if (rc == -ENOMEM)
		return rc;
	if (rc)
		return -REFUSAL_MALFORMED_MEDIA;
	timeline_init(&lane->scales, &parsed);
	lane->has_video = false;
	for (unsigned i = 0; i < parsed.track_count; i++)
		lane->has_video |= parsed.tracks[i].media == BMFF_VIDEO;
	buf_unref(&lane->init);
	lane->init = buf_ref(init);
	return 0;
}

static int find_lane(struct writer *w, const struct writer_session *s, struct lane **ret_lane)
{
	struct lane *lane = lane_find(w, s->session);
	if (lane) {
		if (lane->listed && lane->open && lane->lane != s->lane)
			return -REFUSAL_PROTOCOL;
		if (lane->trouble)
			return -lane->trouble;
		*ret_lane = lane;
		return 0;
	}
	if (s->from_seq > 1)
		return -REFUSAL_SESSION_FORGOTTEN;
	int rc = lane_new(w, s->session, ret_lane);
	return rc == ERR_LIMIT ? -REFUSAL_STREAMS : rc;
}

/* A lane nobody uses and nothing was taken of leaves no trace. */
static void drop_unused(struct lane *lane)
{
	if (!lane->listed && !lane->user)
		lane_free(&lane);
}

int writer_session_open(struct writer *w, struct writer_session *s, struct buf *init)
{
	struct lane *lane;
	int rc = refused(w);
	if (!rc && (!s->session || s->lane >= LANES))
		rc = -REFUSAL_PROTOCOL;
	if (!rc)
		rc = find_lane(w, s, &lane);
	if (rc)
		return rc;
	rc = set_init(lane, init);
	if (rc) {
		drop_unused(lane);
		return rc;
	}
	if (lane->user) {
		lane->user->impl = NULL;
		list_append(&w->superseded, &lane->user->node);
		writer_poke(w);
	}
	lane->user = s;
	lane->lane = s->lane;
	lane->closed = false;
	lane->changed = false;
	lane->failed = 0;
	s->writer = w;
	s->impl = lane;
	list_init(&s->node);
	s->received = lane->received;
	s->durable = lane->durable;
	s->durable_until = lane->durable_until;
	s->undurable_bytes = lane->undurable_bytes;
	return 0;
}

int writer_init(struct writer_session *s, struct buf *init)
{
	struct lane *lane = s->impl;
	if (!lane)
		return -REFUSAL_NOT_OWNER;
	return set_init(lane, init);
}

void writer_session_close(struct writer_session *s, bool seal)
{
	struct lane *lane = s->impl;
	if (s->writer)
		list_remove(&s->node); /* it may wait to be told that it is superseded */
	s->impl = NULL;
	if (!lane)
		return;
	lane->user = NULL;
	if (seal) {
		lane->closed = true;
		lane_end_chunk(lane, CHUNK_END_STOP);
		lane->writer->head_stale |= lane->listed;
		writer_poke(lane->writer);
	}
	drop_unused(lane);
}

void writer_flush(struct writer_session *s)
{
	struct lane *lane = s->impl;
	if (!lane || !lane->open)
		return;
	lane->open->flush = !list_empty(&lane->open->waiting);
	writer_poke(lane->writer);
}

/* --- gaps --- */

/* Whether the stream has ever had any, as far as the head and what is open tell. */
static bool has_footage(const struct writer *w)
{
	if (w->head.last_chunk.epoch || w->live_end.us || !list_empty(&w->chunks))
		return true;
	for (uint8_t i = 0; i < w->head.session_count; i++)
		if (w->head.sessions[i].last_seq)
			return true;
	return false;
}

int writer_gap(struct writer_session *s, const struct gap *gap, bool open)
{
	struct lane *lane = s->impl;
	if (!lane)
		return -REFUSAL_NOT_OWNER;
	if (!gap->cause || gap->cause >= GAP_CAUSES)
		return -REFUSAL_PROTOCOL;
	if (!wall_is_valid(gap->from) ||
		(!open && (!wall_is_valid(gap->to) || gap->to.us < gap->from.us)))
		return -REFUSAL_TIME;
	/* before its first footage nothing is missing: a recorder that was used before, for another
	 * store, may think otherwise */
	if (!has_footage(lane->writer))
		return 0;
	lane->gap = *gap;
	if (lane->lane == LANE_LIVE) {
		/* known at the live edge until a fragment ends it; in the head with its next write */
		lane->writer->head.open_gap =
			(struct gap){.from = gap->from, .to = gap->from, .cause = gap->cause};
		lane->writer->changed = true;
		writer_poke(lane->writer);
	}
	return 0;
}

/* The hole before a chunk's first fragment; cause 0: none, or nothing is known of what lies before. */
static struct gap gap_before(const struct lane *lane, const struct fragment_header *h)
{
	const struct writer *w = lane->writer;
	struct gap gap = {.from = lane->end, .to = h->capture, .cause = lane->gap.cause};
	bool live = lane->lane == LANE_LIVE;
	if (live && w->live_end.us > gap.from.us)
		gap.from = w->live_end;
	if (!gap.cause && live)
		gap.cause = w->head.open_gap.cause;
	if (!gap.from.us)
		gap.from = lane->gap.cause ? lane->gap.from : w->head.open_gap.from;
	if (!gap.from.us || gap.to.us - gap.from.us <= gap_slack_us(0))
		return (struct gap){0};
	if (!gap.cause)
		gap.cause = GAP_UNKNOWN;
	return gap;
}

/* --- fragments --- */

/* Whether the lane takes this fragment: 0 yes, 1 it has it already, or a refusal. */
static int judge(struct writer_session *s, const struct lane *lane, const struct fragment_header *h)
{
	int rc = refused(lane->writer);
	if (rc)
		return rc;
	if (h->session != s->session || h->lane != s->lane)
		return -REFUSAL_PROTOCOL;
	if (h->seq <= lane->received)
		return 1;
	if (h->seq != lane->received + 1)
		return -REFUSAL_SEQUENCE;
	if (!wall_is_valid(h->capture) || !wall_is_valid(fragment_end(h)))
		return -REFUSAL_TIME;
	if (lane->undurable_bytes + h->body_len > LANE_UNDURABLE_MAX)
		return -REFUSAL_CREDIT;
	return 0;
}

/* Why the lane's chunk must end before the fragment: 0, a reason, or a refusal. */
static int end_before(const struct lane *lane, const struct fragment_header *h)
{
	const struct openchunk *c = lane->open;
	bool starts = (h->flags & FRAGMENT_SYNC) || !lane->has_video;
	bool codec = c && !same_bytes(c->init, lane->init);
	/* nothing could be decoded before the first sync of a stream or of a codec configuration */
	if (!starts && (!lane->received || codec))
		return -REFUSAL_NO_SYNC;
	if (!c)
		return 0;
	return codec ? CHUNK_END_CODEC : cutter_end_before(&c->cutter, &lane->writer->limits, h);
}

static int begin_chunk(
	struct lane *lane, const struct fragment_header *h, struct openchunk **ret_chunk)
{
	struct writer *w = lane->writer;
	if (indexwrite_records(&w->indexwrite, wall_day(h->capture)) >=
		INDEX_RECORDS_MAX - INDEX_RESERVE)
		return -REFUSAL_OVERLOAD;
	struct gap gap = gap_before(lane, h);
	return openchunk_new(w, lane, h, &gap, ret_chunk);
}

/* The chunk has its first fragment and belongs to the writer now. */
static void adopt_chunk(struct lane *lane, struct openchunk *c, enum chunk_end reason)
{
	if (lane->open)
		openchunk_end(lane->open, reason);
	lane->open = c;
	lane->ordinal++;
	lane->writer->next_seq++;
	list_append(&lane->writer->chunks, &c->node);
	writer_poke(lane->writer); /* it needs an intent */
}

static int put_fragment(struct lane *lane, const struct fragment_header *h,
	const struct slice *body, struct intake *in, struct wall receipt)
{
	struct openchunk *fresh = NULL;
	int reason = end_before(lane, h);
	if (reason < 0)
		return reason;
	int rc = 0;
	if (lane->open && !reason) {
		rc = openchunk_take(lane->open, h, body, in, receipt);
		if (rc != ERR_LIMIT)
			return rc;
		reason = CHUNK_END_FULL;
	}
	rc = begin_chunk(lane, h, &fresh);
	if (!rc)
		rc = openchunk_take(fresh, h, body, in, receipt);
	if (rc)
		openchunk_free(&fresh);
	else
		adopt_chunk(lane, fresh, (enum chunk_end)reason);
	return rc;
}

static void note_fragment(struct lane *lane, const struct fragment_header *h)
{
	struct writer *w = lane->writer;
	lane->received = h->seq;
	lane->user->received = h->seq;
	lane->undurable_bytes += h->body_len;
	lane_update_user(lane);
	lane->listed = true;
	lane->last_append = loop_wall(w->tenure.loop);
	lane->active = loop_now(w->tenure.loop);
	lane->end = fragment_end(h);
	lane->gap = (struct gap){0};
	if (lane->lane == LANE_LIVE) {
		if (lane->end.us > w->live_end.us)
			w->live_end = lane->end;
		w->head.open_gap = (struct gap){0};
	}
}

int writer_append(struct writer_session *s, const struct fragment_header *h,
	const struct slice *body, struct wall receipt)
{
	struct lane *lane = s->impl;
	struct intake in;
	if (!lane)
		return -REFUSAL_NOT_OWNER;
	int rc = judge(s, lane, h);
	if (rc == 1) {
		lane_tell(lane, 0); /* acknowledged again */
		return 0;
	}
	if (rc)
		return rc;
	rc = intake_read(&in, h, body);
	if (rc)
		return rc == -ENOMEM ? rc : -REFUSAL_MALFORMED_MEDIA;
	if (!loop_timer_armed(&lane->silence))
		rc = loop_timer_start(
			lane->writer->tenure.loop, &lane->silence, lane->writer->limits.silence_ns);
	if (!rc)
		rc = put_fragment(lane, h, body, &in, receipt);
	intake_fini(&in);
	if (!rc)
		note_fragment(lane, h);
	return rc == ERR_FORMAT ? -REFUSAL_MALFORMED_MEDIA : rc;
}
