/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/oracle.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "tests/sim/camera.h"
#include "tests/sim/shadow.h"

struct oracle {
	struct world *world;
	struct shadow *streams; /* one a camera */
	uint64_t takes;
};

void shadow_problem(struct shadow *s, const char *name, const char *format, ...)
{
	char words[320];
	va_list args;
	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	world_problem(s->world, "%s: %s", name, words);
}

bool shadow_is_foreign(const struct shadow *s, const struct store_model_change *change)
{
	return s->owner && change->origin != s->owner;
}

uint64_t shadow_attr(struct shadow *s, int pool, const char *name, const char *attr)
{
	size_t len;
	const char *value = store_model_attr(s->world->store, pool, name, attr, &len);
	char text[17] = "";
	if (len >= 16)
		memcpy(text, value, 16);
	return strtoull(text, NULL, 16);
}

static struct shadow *find(const struct oracle *o, const char *stream)
{
	for (unsigned i = 0; i < o->world->camera_count; i++)
		if (!strcmp(o->streams[i].stream, stream))
			return &o->streams[i];
	return NULL;
}

/* Equal runs have equal digests. */
static void digest(struct world *w, const struct store_model_change *change)
{
	size_t size;
	(void)store_model_bytes(w->store, change->pool, change->name, &size);
	const uint64_t what[] = {(uint64_t)w->time.now.ns, change->origin, size, w->digest};
	w->digest = hash64(hash64(1, change->name, strlen(change->name)), what, sizeof(what));
}

static void on_change(void *user, const struct store_model_change *change)
{
	struct oracle *o = user;
	struct world *w = o->world;
	char stream[STREAM_NAME_MAX + 1];
	struct chunk_id id;
	int32_t day;
	digest(w, change);
	world_count(w, COUNT_CHANGES, 1);
	world_count(w, COUNT_CHANGES_LATE, change->late);
	world_trace(w, "store %u%s: %s %s", change->origin, change->late ? " late" : "",
		change->name, change->edits->body_kind == STORE_BODY_REMOVE ? "removed" : "");
	if (change->pool == STORE_DATA && !chunk_name_parse(change->name, stream, &id)) {
		struct shadow *s = find(o, stream);
		if (s)
			shadow_chunk_changed(s, change, &id);
	} else if (!index_partition_name_parse(change->name, stream, &day)) {
		struct shadow *s = find(o, stream);
		if (s)
			shadow_partition_changed(s, change, day);
	} else if (!strncmp(change->name, "head/", 5)) {
		struct shadow *s = find(o, change->name + 5);
		if (s)
			shadow_head_changed(s, change);
	}
}

struct oracle *oracle_new(struct world *w)
{
	struct oracle *o = calloc(1, sizeof(*o));
	CHECK(o);
	o->world = w;
	o->streams = calloc(w->camera_count, sizeof(*o->streams));
	CHECK(o->streams);
	for (unsigned i = 0; i < w->camera_count; i++)
		shadow_init(&o->streams[i], w, i);
	store_model_observe(w->store, on_change, o);
	return o;
}

void oracle_free(struct oracle **slot)
{
	struct oracle *o = *slot;
	*slot = NULL;
	if (!o)
		return;
	for (unsigned i = 0; i < o->world->camera_count; i++)
		shadow_fini(&o->streams[i]);
	free(o->streams);
	free(o);
}

void oracle_moved(
	struct oracle *o, unsigned origin, const char *machine, const char *id, const char *to)
{
	struct shadow *s = strcmp(machine, "keep") ? NULL : find(o, id);
	if (!s || strcmp(to, "ready") != 0)
		return;
	world_count(o->world, COUNT_TAKES, 1);
	if (origin == s->taker) /* else another has raised the epoch since */
		s->owner = origin;
}

int oracle_acknowledged(struct oracle *o, const char *stream, uint64_t session, uint64_t seq,
	const uint8_t *digest_told, struct pattern_run *ret_run)
{
	struct shadow *s = find(o, stream);
	struct shadow_fragment *f = shadow_fragment_find(s, session, seq);
	if (!f) {
		world_problem(o->world,
			"P1: %s: %" PRIx64 ".%" PRIu64 " is acknowledged and not there", stream,
			session, seq);
		return -1;
	}
	if (memcmp(f->digest, digest_told, DIGEST_SIZE) != 0)
		world_problem(o->world,
			"P1: %s: %" PRIx64 ".%" PRIu64
			" is not what was sent, but pictures %" PRIu64 " and on",
			stream, session, seq, f->run.first);
	f->acknowledged = f->chunk->acknowledged = true;
	if (!f->chunk->intended && !f->chunk->recorded)
		world_problem(o->world,
			"P2: %s: %" PRIx64 ".%" PRIu64 " is acknowledged and %s not listed", stream,
			session, seq, f->chunk->name);
	*ret_run = f->run;
	return 0;
}

bool oracle_holds(const struct oracle *o, const char *stream, uint64_t picture)
{
	const struct shadow *s = find(o, stream);
	return s && picture < s->shown_room && s->shown[picture];
}

bool oracle_knows(const struct oracle *o, const char *stream, uint64_t session, uint64_t seq,
	const uint8_t *digest_shown)
{
	struct shadow *s = find(o, stream);
	struct shadow_fragment *f = s ? shadow_fragment_find(s, session, seq) : NULL;
	return f && memcmp(f->digest, digest_shown, DIGEST_SIZE) == 0;
}

void oracle_demand_rest(struct oracle *o)
{
	for (unsigned i = 0; i < o->world->camera_count; i++)
		shadow_demand_rest(&o->streams[i]);
}

uint64_t oracle_chunks(const struct oracle *o)
{
	uint64_t count = 0;
	for (unsigned i = 0; i < o->world->camera_count; i++)
		list_each (node, &o->streams[i].chunks)
			count++;
	return count;
}
