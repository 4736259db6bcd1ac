/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "storaged/archive/attrs.h"
#include "tests/sim/camera.h"
#include "tests/sim/shadow.h"
#include "tests/sim/traps.h"

#define CAPTURE_SLACK_US 1000 /* of rounding */

/* --- finding --- */

struct shadow_chunk *shadow_chunk_find(struct shadow *s, const struct chunk_id *id)
{
	/* most changes are of the newest */
	for (struct list *node = s->chunks.prev; node != &s->chunks; node = node->prev) {
		struct shadow_chunk *c = list_entry(node, struct shadow_chunk, node);
		if (c->id.epoch == id->epoch && c->id.seq == id->seq && c->id.gen == id->gen)
			return c;
	}
	return NULL;
}

static struct shadow_session *session_find(const struct shadow *s, uint64_t id)
{
	list_each (node, &s->sessions) {
		struct shadow_session *session = list_entry(node, struct shadow_session, node);
		if (session->id == id)
			return session;
	}
	return NULL;
}

struct shadow_fragment *shadow_fragment_find(const struct shadow *s, uint64_t session, uint64_t seq)
{
	struct shadow_session *found = session_find(s, session);
	return found && seq && seq <= found->count ? &found->fragments[seq - 1] : NULL;
}

void shadow_init(struct shadow *s, struct world *w, unsigned camera)
{
	*s = (struct shadow){.world = w, .camera = camera};
	snprintf(s->stream, sizeof(s->stream), "%s", w->cameras[camera].stream);
	list_init(&s->sessions);
	list_init(&s->chunks);
	list_init(&s->days);
}

void shadow_fini(struct shadow *s)
{
	for (struct list *node; (node = list_pop(&s->sessions));) {
		struct shadow_session *session = list_entry(node, struct shadow_session, node);
		free(session->fragments);
		free(session);
	}
	for (struct list *node; (node = list_pop(&s->chunks));)
		free(list_entry(node, struct shadow_chunk, node));
	for (struct list *node; (node = list_pop(&s->days));)
		free(list_entry(node, struct shadow_day, node));
	free(s->shown);
}

/* --- fragments --- */

/* P4: pictures that were shown, at the time they were shown. */
static void check_pictures(struct shadow *s, const struct shadow_chunk *c,
	const struct fragment_header *h, const struct pattern_run *run)
{
	const struct camera *camera = &s->world->cameras[s->camera];
	const struct picture *first = camera_picture(camera, run->first);
	const struct picture *last = camera_picture(camera, run->first + run->count - 1);
	if (run->camera != s->camera || !first || !last) {
		shadow_problem(s, c->name, "P4: %" PRIu64 " was never shown", run->first);
		return;
	}
	for (const struct picture *p = first; p <= last; p++)
		if (p->fate == PICTURE_LEFT_OUT)
			shadow_problem(s, c->name, "P4: a picture that the recorder did not take");
	int64_t off_us = h->capture.us - first->capture_us;
	if (off_us > CAPTURE_SLACK_US || off_us < -CAPTURE_SLACK_US)
		shadow_problem(
			s, c->name, "P4: %" PRIu64 " is off by %" PRId64 " us", h->seq, off_us);
}

/* A picture lies in one fragment, whatever became of its sending. */
static void count_shown(
	struct shadow *s, const struct shadow_chunk *c, const struct pattern_run *run)
{
	uint64_t end = run->first + run->count;
	if (end > s->shown_room) {
		uint64_t room = end * 2;
		s->shown = realloc(s->shown, room);
		CHECK(s->shown);
		memset(s->shown + s->shown_room, 0, room - s->shown_room);
		s->shown_room = room;
	}
	for (uint64_t i = run->first; i < end; i++)
		if (s->shown[i]++)
			shadow_problem(s, c->name, "P4: picture %" PRIu64 " is there twice", i);
}

static struct shadow_session *session_get(struct shadow *s, uint64_t id)
{
	struct shadow_session *session = session_find(s, id);
	if (session)
		return session;
	session = calloc(1, sizeof(*session));
	CHECK(session);
	session->id = id;
	list_append(&s->sessions, &session->node);
	return session;
}

static struct shadow_fragment *fragment_add(struct shadow_session *session)
{
	if (session->count == session->room) {
		session->room = session->room ? 2 * session->room : 64;
		session->fragments =
			realloc(session->fragments, session->room * sizeof(*session->fragments));
		CHECK(session->fragments);
	}
	struct shadow_fragment *f = &session->fragments[session->count++];
	*f = (struct shadow_fragment){0};
	return f;
}

static void take_fragment(struct shadow *s, struct shadow_chunk *c, const struct chunk_item *item,
	const uint8_t *body)
{
	const struct fragment_header *h = &item->header;
	struct shadow_session *session = session_get(s, h->session);
	struct pattern_run run = {0};
	c->fragments++;
	if (h->seq != session->count + 1) {
		shadow_problem(s, c->name,
			"P1: fragment %" PRIx64 ".%" PRIu64 " where %" PRIu64 " follows (%s)",
			h->session, h->seq, session->count + 1,
			h->seq <= session->count ? "there twice" : "a hole");
		return;
	}
	if (fragment_check_crc(h, body) || pattern_read_fragment(body, h->body_len, &run)) {
		shadow_problem(s, c->name, "P4: fragment %" PRIu64 " was changed", h->seq);
		return;
	}
	check_pictures(s, c, h, &run);
	count_shown(s, c, &run);
	if (run.first < session->next_picture)
		shadow_problem(s, c->name, "P4: fragment %" PRIu64 " is out of order", h->seq);
	session->next_picture = run.first + run.count;
	struct shadow_fragment *f = fragment_add(session);
	f->chunk = c;
	f->run = run;
	CHECK(fragment_digest(h, f->digest) == 0);
	world_count(s->world, COUNT_FRAGMENTS, 1);
}

/* --- bytes --- */

/* The head of a chunk; a husk has none, but a seal at once. */
static bool scan_head(struct shadow *s, struct shadow_chunk *c, const uint8_t *bytes, size_t len)
{
	struct chunk_header header;
	struct chunk_item item;
	size_t init_len, head_len;
	uint64_t at = 0;
	if (chunk_head_parse(bytes, len, &header, &init_len, &head_len) == 0) {
		if (header.id.epoch != c->id.epoch || header.id.seq != c->id.seq ||
			strcmp(header.stream, s->stream) != 0)
			shadow_problem(s, c->name, "P6: its head names another chunk");
		c->scanned = head_len;
		return true;
	}
	chunk_scan(bytes, len, &at, false, &item);
	if (item.kind != CHUNK_ITEM_SEAL && item.kind != CHUNK_ITEM_END)
		shadow_problem(s, c->name, "P6: its head cannot be read");
	c->scanned = len;
	return false;
}

static void scan(struct shadow *s, struct shadow_chunk *c, const uint8_t *bytes, size_t len)
{
	if (!c->scanned && !scan_head(s, c, bytes, len))
		return;
	while (c->scanned < len && !world_failed(s->world)) {
		struct chunk_item item;
		chunk_scan(bytes, len, &c->scanned, true, &item);
		if (item.kind == CHUNK_ITEM_FRAGMENT)
			take_fragment(s, c, &item, bytes + item.offset);
		else if (item.kind == CHUNK_ITEM_DAMAGE)
			shadow_problem(s, c->name, "P4: damaged at %" PRIu64, item.offset);
		else
			c->scanned = len;
	}
}

static bool is_sealed(struct shadow *s, const char *name)
{
	size_t len;
	const char *state = store_model_attr(s->world->store, STORE_DATA, name, ATTR_STATE, &len);
	return len == strlen(ATTR_STATE_SEALED) && !memcmp(state, ATTR_STATE_SEALED, len);
}

static struct shadow_chunk *chunk_add(struct shadow *s, const struct chunk_id *id, const char *name)
{
	struct shadow_chunk *c = calloc(1, sizeof(*c));
	CHECK(c);
	c->id = *id;
	snprintf(c->name, sizeof(c->name), "%s", name);
	c->intended = shadow_is_intended(s, id);
	list_append(&s->chunks, &c->node);
	return c;
}

/* The change adds bytes at the end of what is not sealed, or none. */
static void check_append(
	struct shadow *s, const struct shadow_chunk *c, const struct store_edits *edits)
{
	if (edits->body_kind == STORE_BODY_NONE)
		return;
	if (edits->body_kind == STORE_BODY_REMOVE)
		shadow_problem(s, c->name, "P1: removed");
	else if (edits->body_kind != STORE_BODY_WRITE_AT)
		shadow_problem(s, c->name, "P1: written anew");
	else if (edits->offset != c->len)
		shadow_problem(s, c->name, "P1: written at %" PRIu64 " of %" PRIu64, edits->offset,
			c->len);
	else if (c->sealed)
		shadow_problem(s, c->name, "P3: written after its seal");
}

void shadow_chunk_changed(
	struct shadow *s, const struct store_model_change *change, const struct chunk_id *id)
{
	struct shadow_chunk *c = shadow_chunk_find(s, id);
	size_t len;
	if (shadow_is_foreign(s, change))
		shadow_problem(s, change->name,
			"P3: changed by store %u while the stream is store %u's", change->origin,
			s->owner);
	bool created = !c;
	if (created)
		c = chunk_add(s, id, change->name);
	check_append(s, c, change->edits);
	const uint8_t *bytes = store_model_bytes(s->world->store, STORE_DATA, c->name, &len);
	uint64_t ep = shadow_attr(s, STORE_DATA, c->name, ATTR_EP);
	if (!bytes || world_failed(s->world))
		return;
	if (ep < c->ep)
		shadow_problem(s, c->name, "P3: its epoch falls");
	if (shadow_attr(s, STORE_DATA, c->name, ATTR_LEN) != len)
		shadow_problem(s, c->name, "P1: %zu bytes, its attribute says otherwise", len);
	c->ep = ep;
	c->crc = crc32c(c->crc, bytes + c->len, len - c->len);
	c->len = len;
	if (len)
		scan(s, c, bytes, len);
	bool sealed = is_sealed(s, c->name);
	traps_saw(s->world->traps,
		sealed && !c->sealed ? TRAP_SEALED
		: created            ? TRAP_CREATED
				     : TRAP_APPENDED,
		change->origin);
	c->sealed = sealed;
}

/* --- records --- */

void shadow_check_record(struct shadow *s, struct shadow_chunk *c, const struct index_record *r)
{
	struct chunk_header header = {.id = c->id, .lane = r->lane};
	struct chunk_seal seal;
	struct chunk_table table = {0};
	struct index_record made;
	uint8_t a[INDEX_RECORD_SIZE], b[INDEX_RECORD_SIZE];
	size_t len, init_len = 0, head_len = 0;
	const uint8_t *bytes = store_model_bytes(s->world->store, STORE_DATA, c->name, &len);
	if (!c->sealed) {
		shadow_problem(s, c->name, "P2: has a record and no seal");
		return;
	}
	if (r->bytes != len || r->seal_offset >= len ||
		chunk_seal_parse(bytes + r->seal_offset, len - r->seal_offset, &seal, &table)) {
		shadow_problem(s, c->name, "P6: no seal where its record says");
		return;
	}
	if (!(r->flags & INDEX_EMPTY) &&
		chunk_head_parse(bytes, len, &header, &init_len, &head_len))
		shadow_problem(s, c->name, "P6: its head cannot be read");
	if (table.fragment_count != c->fragments)
		shadow_problem(s, c->name, "P6: its table has %u fragments, it has %u",
			table.fragment_count, c->fragments);
	const struct index_source source = {.header = &header,
		.seal = &seal,
		.table = &table,
		.pool = STORE_DATA,
		.bytes = len,
		.head_len = (uint32_t)head_len,
		.init_crc = init_len ? crc32c(0, bytes, init_len) : 0};
	index_record_make(&source, &made);
	made.flags |= r->flags & INDEX_OVERLAP;
	index_record_encode(r, a);
	index_record_encode(&made, b);
	if (memcmp(a, b, sizeof(a)) != 0)
		shadow_problem(s, c->name, "P6: its record is not what its bytes say");
	chunk_table_fini(&table);
}

void shadow_demand_rest(struct shadow *s)
{
	if (s->intent_count)
		shadow_problem(s, s->stream, "at rest: %u intents are left", s->intent_count);
	list_each (node, &s->chunks) {
		struct shadow_chunk *c = list_entry(node, struct shadow_chunk, node);
		size_t len;
		const uint8_t *bytes =
			store_model_bytes(s->world->store, STORE_DATA, c->name, &len);
		if (!bytes || len != c->len || crc32c(0, bytes, len) != c->crc)
			shadow_problem(s, c->name, "P1: its bytes have changed");
		if (!c->sealed || !c->recorded)
			shadow_problem(s, c->name, "at rest: %s",
				c->sealed ? "it has no record" : "it is not sealed");
	}
}
