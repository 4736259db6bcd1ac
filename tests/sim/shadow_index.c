/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "storaged/archive/attrs.h"
#include "tests/sim/shadow.h"
#include "tests/sim/traps.h"

static bool sets(const struct store_edits *edits, const char *attr)
{
	for (size_t i = 0; i < edits->attr_count; i++)
		if (!strcmp(edits->attrs[i].name, attr))
			return true;
	return false;
}

void shadow_check_named(struct shadow *s, const char *because)
{
	list_each (node, &s->chunks) {
		struct shadow_chunk *c = list_entry(node, struct shadow_chunk, node);
		if (c->acknowledged && !c->intended && !c->recorded)
			shadow_problem(
				s, c->name, "P2: is named by nothing any more after %s", because);
	}
}

/* --- the head --- */

bool shadow_is_intended(const struct shadow *s, const struct chunk_id *id)
{
	for (unsigned i = 0; i < s->intent_count; i++)
		if (s->intents[i].chunk.epoch == id->epoch && s->intents[i].chunk.seq == id->seq)
			return true;
	return false;
}

static void check_intents(struct shadow *s, const char *name)
{
	struct head head;
	size_t len;
	const uint8_t *bytes = store_model_bytes(s->world->store, STORE_META, name, &len);
	if (head_decode(bytes, len, &head)) {
		shadow_problem(s, name, "P6: cannot be read");
		return;
	}
	memcpy(s->intents, head.intents, sizeof(s->intents));
	s->intent_count = head.intent_count;
	list_each (node, &s->chunks) {
		struct shadow_chunk *c = list_entry(node, struct shadow_chunk, node);
		c->intended = shadow_is_intended(s, &c->id);
	}
	shadow_check_named(s, "a head write");
}

void shadow_head_changed(struct shadow *s, const struct store_model_change *change)
{
	const char *name = change->name;
	uint64_t epoch = shadow_attr(s, STORE_META, name, ATTR_EPOCH);
	uint64_t ver = shadow_attr(s, STORE_META, name, ATTR_VER);
	if (change->edits->body_kind == STORE_BODY_REMOVE) {
		shadow_problem(s, name, "P2: removed");
		return;
	}
	if (epoch < s->epoch)
		shadow_problem(s, name, "P3: its epoch falls");
	if (sets(change->edits, ATTR_EPOCH)) {
		if (epoch == s->epoch)
			shadow_problem(s, name, "P3: an epoch is taken twice");
		s->taker = change->origin;
		s->owner = 0;
	} else if (change->origin != s->taker) {
		shadow_problem(s, name, "P3: changed by store %u, the epoch is store %u's",
			change->origin, s->taker);
	} else if (ver != s->ver + 1) {
		shadow_problem(s, name, "P3: version %" PRIu64 " follows %" PRIu64, ver, s->ver);
	}
	s->epoch = epoch;
	s->ver = ver;
	traps_saw(s->world->traps, sets(change->edits, ATTR_EPOCH) ? TRAP_TAKEN : TRAP_HEAD,
		change->origin);
	check_intents(s, name);
}

/* --- partitions --- */

static struct shadow_day *day_get(struct shadow *s, int32_t day)
{
	list_each (node, &s->days) {
		struct shadow_day *d = list_entry(node, struct shadow_day, node);
		if (d->day == day)
			return d;
	}
	struct shadow_day *d = calloc(1, sizeof(*d));
	CHECK(d);
	d->day = day;
	list_append(&s->days, &d->node);
	return d;
}

static void check_version(
	struct shadow *s, struct shadow_day *day, const struct store_model_change *change)
{
	size_t len;
	struct index_version ver;
	const char *text =
		store_model_attr(s->world->store, STORE_META, change->name, ATTR_VER, &len);
	if (index_version_parse(text, len, &ver)) {
		shadow_problem(s, change->name, "P6: its version cannot be read");
		return;
	}
	if (ver.epoch < day->ver.epoch || ver.n != day->ver.n + 1)
		shadow_problem(s, change->name,
			"P3: version %" PRIx64 ".%" PRIu64 " follows %" PRIx64 ".%" PRIu64,
			ver.epoch, ver.n, day->ver.epoch, day->ver.n);
	day->ver = ver;
}

/* Records stay, each chunk has one. */
static void check_records(struct shadow *s, const char *name, const struct index_partition *p)
{
	for (size_t i = 0; i < p->count && !world_failed(s->world); i++) {
		const struct index_record *r = &p->records[i];
		struct shadow_chunk *c = shadow_chunk_find(s, &r->chunk);
		if (!c) {
			shadow_problem(s, name, "P2: names a chunk that is not there");
			return;
		}
		for (size_t k = 0; k < i; k++)
			if (p->records[k].chunk.epoch == r->chunk.epoch &&
				p->records[k].chunk.seq == r->chunk.seq)
				shadow_problem(s, name, "P2: %s has two records", c->name);
		if (!c->recorded)
			shadow_check_record(s, c, r);
		c->recorded = true;
	}
}

/* What was named by this partition and is so no more. */
static void check_kept(
	struct shadow *s, int32_t day, const struct index_partition *p, size_t before)
{
	if (p->count < before)
		shadow_problem(s, s->stream, "P2: day %d has %zu records, it had %zu", day,
			p->count, before);
}

void shadow_partition_changed(
	struct shadow *s, const struct store_model_change *change, int32_t number)
{
	struct index_partition p;
	size_t len;
	struct shadow_day *day = day_get(s, number);
	if (change->edits->body_kind == STORE_BODY_REMOVE) {
		shadow_problem(s, change->name, "P2: removed");
		return;
	}
	check_version(s, day, change);
	traps_saw(s->world->traps, TRAP_RECORDED, change->origin);
	const uint8_t *bytes = store_model_bytes(s->world->store, STORE_META, change->name, &len);
	if (index_partition_decode(bytes, len, &p) || p.damaged) {
		shadow_problem(s, change->name, "P6: cannot be read");
		return;
	}
	check_records(s, change->name, &p);
	check_kept(s, number, &p, day->records);
	day->records = p.count;
	index_partition_fini(&p);
	shadow_check_named(s, "an index write");
}
