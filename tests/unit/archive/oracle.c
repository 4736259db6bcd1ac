/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/archive/oracle.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/crc32c.h"

__attribute__((format(printf, 2, 3))) static void problem(struct oracle *o, const char *format, ...)
{
	va_list args;
	if (o->problem[0])
		return;
	va_start(args, format);
	vsnprintf(o->problem, sizeof(o->problem), format, args);
	va_end(args);
}

static uint64_t attr_u64(struct rig *rig, int pool, const char *name, const char *attr)
{
	size_t len;
	const char *value = store_model_attr(rig->model, pool, name, attr, &len);
	char text[17] = "";
	if (len >= 16)
		memcpy(text, value, 16);
	return strtoull(text, NULL, 16);
}

static bool attr_is(struct rig *rig, int pool, const char *name, const char *attr, const char *text)
{
	size_t len;
	const char *value = store_model_attr(rig->model, pool, name, attr, &len);
	return len == strlen(text) && !memcmp(value, text, len);
}

/* --- fragments --- */

static struct recorder *recorder_of(struct oracle *o, uint64_t session)
{
	for (unsigned i = 0; i < o->rig->recorder_count; i++)
		if (o->rig->recorders[i].footage.session == session)
			return &o->rig->recorders[i];
	return NULL;
}

/* P4: the fragment is byte for byte one that was sent. */
static void check_fragment(
	struct oracle *o, const char *name, const struct chunk_item *item, const uint8_t *body)
{
	uint8_t found[FRAGMENT_HEADER_SIZE], sent[FRAGMENT_HEADER_SIZE];
	const struct recorder *r = recorder_of(o, item->header.session);
	uint64_t seq = item->header.seq;
	if (!r || !seq || seq > r->made) {
		problem(o, "%s holds a fragment that nobody sent: %" PRIx64 " %" PRIu64, name,
			item->header.session, seq);
		return;
	}
	fragment_header_encode(&item->header, found);
	fragment_header_encode(&r->headers[seq - 1], sent);
	if (memcmp(found, sent, sizeof(sent)) != 0 || fragment_check_crc(&item->header, body))
		problem(o, "%s: fragment %" PRIu64 " was changed", name, seq);
}

/* Players need decode times that never step back. */
static void check_times(struct oracle *o, const char *name, const struct chunk_item *item,
	const uint8_t *body, uint64_t *next)
{
	struct bmff_sample samples[64];
	struct bmff_run runs[FRAGMENT_TRACKS_MAX];
	size_t count;
	if (bmff_fragment_parse(body, item->header.body_len, item->header.body_len, runs, &count,
		    samples, 64)) {
		problem(o, "%s: fragment %" PRIu64 " is malformed", name, item->header.seq);
		return;
	}
	if (runs[0].decode_time < *next)
		problem(o, "%s: decode time of fragment %" PRIu64 " steps back", name,
			item->header.seq);
	*next = runs[0].decode_time;
	for (uint32_t i = 0; i < runs[0].sample_count; i++)
		*next += runs[0].samples[i].duration;
}

/* --- chunks --- */

/* Reads the chunk by its own framing up to `len`. */
static void scan_chunk(struct oracle *o, struct oracle_chunk *c, const char *name,
	const uint8_t *bytes, uint64_t len)
{
	struct chunk_header header;
	size_t init_len, head_len;
	uint64_t next = 0;
	if (chunk_head_parse(bytes, len, &header, &init_len, &head_len)) {
		problem(o, "%s: its head cannot be read", name);
		return;
	}
	if (header.id.epoch != c->id.epoch || header.id.seq != c->id.seq ||
		strcmp(header.stream, o->stream) != 0)
		problem(o, "%s: its head names another chunk", name);
	for (uint64_t at = head_len;;) {
		struct chunk_item item;
		chunk_scan(bytes, len, &at, true, &item);
		if (item.kind == CHUNK_ITEM_END)
			break;
		if (item.kind == CHUNK_ITEM_DAMAGE)
			problem(o, "%s: damaged at %" PRIu64, name, item.offset);
		if (item.kind != CHUNK_ITEM_FRAGMENT)
			continue;
		check_fragment(o, name, &item, bytes + item.offset);
		check_times(o, name, &item, bytes + item.offset, &next);
		if (c->fragments &&
			(item.header.seq != c->last_seq + 1 || item.header.session != c->session))
			problem(o, "%s: fragment %" PRIu64 " follows %" PRIu64, name,
				item.header.seq, c->last_seq);
		if (!c->fragments)
			c->first_seq = item.header.seq;
		c->session = item.header.session;
		c->last_seq = item.header.seq;
		c->fragments++;
	}
}

/* A husk of a takeover: nothing, or a seal alone. */
static bool is_husk(const uint8_t *bytes, size_t len)
{
	struct chunk_item item;
	uint64_t at = 0;
	chunk_scan(bytes, len, &at, false, &item);
	return item.kind == CHUNK_ITEM_END || item.kind == CHUNK_ITEM_SEAL;
}

/* P6: what the index says is what the chunk says. */
static void check_record(struct oracle *o, const struct oracle_chunk *c, const char *name,
	const uint8_t *bytes, size_t len)
{
	const struct index_record *r = &c->record;
	struct chunk_header header;
	struct chunk_seal seal;
	struct chunk_table table = {0};
	struct index_record made;
	uint8_t a[INDEX_RECORD_SIZE], b[INDEX_RECORD_SIZE];
	size_t init_len = 0, head_len = 0;
	if (!attr_is(o->rig, STORE_DATA, name, "state", "sealed")) {
		problem(o, "%s: indexed and not sealed", name);
		return;
	}
	if (r->bytes != len || r->seal_offset >= len ||
		chunk_seal_parse(bytes + r->seal_offset, len - r->seal_offset, &seal, &table)) {
		problem(o, "%s: no seal where its record says", name);
		return;
	}
	if (!(r->flags & INDEX_EMPTY) &&
		chunk_head_parse(bytes, len, &header, &init_len, &head_len))
		problem(o, "%s: its head cannot be read", name);
	if (r->flags & INDEX_EMPTY)
		header = (struct chunk_header){.id = c->id, .lane = r->lane};
	if (table.fragment_count != c->fragments)
		problem(o, "%s: its table has %u fragments, it has %u", name, table.fragment_count,
			c->fragments);
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
		problem(o, "%s: its record is not what its bytes say", name);
	chunk_table_fini(&table);
}

static void read_chunk(struct oracle *o, struct oracle_chunk *c)
{
	char name[STORE_NAME_MAX + 1];
	size_t len;
	chunk_name(name, o->stream, &c->id);
	const uint8_t *bytes = store_model_bytes(o->rig->model, STORE_DATA, name, &len);
	if (!store_model_exists(o->rig->model, STORE_DATA, name)) {
		if (c->indexed)
			problem(o, "%s: indexed and not there", name);
		return; /* an intent whose chunk was not created yet */
	}
	uint64_t durable = attr_u64(o->rig, STORE_DATA, name, "len");
	c->sealed = attr_is(o->rig, STORE_DATA, name, "state", "sealed");
	if (durable != len)
		problem(o, "%s: %zu bytes, its attribute says %" PRIu64, name, len, durable);
	if (!is_husk(bytes, len))
		scan_chunk(o, c, name, bytes, len);
	if (c->indexed)
		check_record(o, c, name, bytes, len);
}

static int by_id(const void *a, const void *b)
{
	const struct chunk_id *x = &((const struct oracle_chunk *)a)->id,
			      *y = &((const struct oracle_chunk *)b)->id;
	if (x->epoch != y->epoch)
		return x->epoch < y->epoch ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static struct oracle_chunk *add_chunk(struct oracle *o, const struct chunk_id *id)
{
	for (size_t i = 0; i < o->chunk_count; i++)
		if (o->chunks[i].id.epoch == id->epoch && o->chunks[i].id.seq == id->seq)
			return NULL;
	if (o->chunk_count == o->chunk_room) {
		o->chunk_room = o->chunk_room ? 2 * o->chunk_room : 64;
		o->chunks = realloc(o->chunks, o->chunk_room * sizeof(*o->chunks));
		CHECK(o->chunks);
	}
	o->chunks[o->chunk_count] = (struct oracle_chunk){.id = *id};
	return &o->chunks[o->chunk_count++];
}

/* --- index --- */

static void read_partition(struct oracle *o, int32_t day)
{
	char name[STORE_NAME_MAX + 1];
	struct index_partition p;
	size_t len;
	index_partition_name(name, o->stream, day);
	const uint8_t *bytes = store_model_bytes(o->rig->model, STORE_META, name, &len);
	if (!bytes)
		return;
	if (index_partition_decode(bytes, len, &p) || p.damaged) {
		problem(o, "%s: cannot be read", name);
		return;
	}
	for (size_t i = 0; i < p.count; i++) {
		struct oracle_chunk *c = add_chunk(o, &p.records[i].chunk);
		if (!c) {
			problem(o, "%s: two records of one chunk", name);
			continue;
		}
		c->indexed = true;
		c->record = p.records[i];
		if (!(c->record.flags & INDEX_EMPTY) && wall_day(c->record.start) != day)
			problem(o, "%s: a record of another day", name);
	}
	index_partition_fini(&p);
}

static void read_index(struct oracle *o)
{
	char name[STORE_NAME_MAX + 1];
	struct index_days days;
	size_t len;
	index_days_name(name, o->stream);
	const uint8_t *bytes = store_model_bytes(o->rig->model, STORE_META, name, &len);
	if (!bytes)
		return;
	if (index_days_decode(bytes, len, &days)) {
		problem(o, "%s: cannot be read", name);
		return;
	}
	for (size_t i = 0; i < days.count; i++)
		read_partition(o, days.days[i].day);
	index_days_fini(&days);
}

static void read_head(struct oracle *o)
{
	char name[STORE_NAME_MAX + 1];
	size_t len;
	head_name(name, o->stream);
	const uint8_t *bytes = store_model_bytes(o->rig->model, STORE_META, name, &len);
	o->exists = bytes != NULL;
	if (!bytes)
		return;
	o->epoch = attr_u64(o->rig, STORE_META, name, "epoch");
	if (head_decode(bytes, len, &o->head))
		problem(o, "%s: cannot be read", name);
	for (unsigned i = 0; i < o->head.intent_count; i++)
		add_chunk(o, &o->head.intents[i].chunk); /* NULL: it has its record */
}

/* No chunk may lie in the store that is not found by head and index (F2, F3). */
static void find_orphans(void *user, int pool, const char *name)
{
	struct oracle *o = user;
	char stream[STREAM_NAME_MAX + 1];
	struct chunk_id id;
	if (pool != STORE_DATA || chunk_name_parse(name, stream, &id) ||
		strcmp(stream, o->stream) != 0)
		return;
	for (size_t i = 0; i < o->chunk_count; i++)
		if (o->chunks[i].id.epoch == id.epoch && o->chunks[i].id.seq == id.seq)
			return;
	problem(o, "%s: an orphan", name);
}

static void find_unlisted_days(void *user, int pool, const char *name)
{
	struct oracle *o = user;
	char stream[STREAM_NAME_MAX + 1], days_name[STORE_NAME_MAX + 1];
	int32_t day;
	struct index_days days = {0};
	size_t len;
	if (pool != STORE_META || index_partition_name_parse(name, stream, &day) ||
		strcmp(stream, o->stream) != 0)
		return;
	index_days_name(days_name, o->stream);
	const uint8_t *bytes = store_model_bytes(o->rig->model, STORE_META, days_name, &len);
	bool named = false;
	if (bytes && !index_days_decode(bytes, len, &days))
		for (size_t i = 0; i < days.count; i++)
			named |= days.days[i].day == day;
	index_days_fini(&days);
	if (!named)
		problem(o, "%s: not named by the days object", name);
}

/* --- sessions --- */

/* Every number once, ascending from 1, at least up to what was acknowledged. */
static void check_session(struct oracle *o, const struct recorder *r)
{
	uint64_t next = 1;
	for (size_t i = 0; i < o->chunk_count; i++) {
		const struct oracle_chunk *c = &o->chunks[i];
		if (!c->fragments || c->session != r->footage.session)
			continue;
		if (c->first_seq != next) {
			problem(o,
				"session %" PRIx64 ": chunk %" PRIx64 ".%u begins with %" PRIu64
				", not %" PRIu64 "%s",
				r->footage.session, c->id.epoch, c->id.seq, c->first_seq, next,
				c->first_seq < next ? " (a duplicate)" : " (a hole)");
			return;
		}
		next = c->last_seq + 1;
	}
	if (next <= r->acked)
		problem(o,
			"session %" PRIx64 ": acknowledged up to %" PRIu64 ", there up to %" PRIu64,
			r->footage.session, r->acked, next - 1);
}

bool oracle_read(struct oracle *o, struct rig *rig, const char *stream)
{
	*o = (struct oracle){.rig = rig};
	snprintf(o->stream, sizeof(o->stream), "%s", stream);
	read_index(o);
	read_head(o);
	for (size_t i = 0; i < o->chunk_count; i++)
		read_chunk(o, &o->chunks[i]);
	if (o->chunk_count)
		qsort(o->chunks, o->chunk_count, sizeof(*o->chunks), by_id);
	for (unsigned i = 0; i < rig->recorder_count; i++)
		if (!strcmp(rig->recorders[i].footage.stream, stream))
			check_session(o, &rig->recorders[i]);
	store_model_each(rig->model, find_orphans, o);
	store_model_each(rig->model, find_unlisted_days, o);
	rig->checks++;
	return !o->problem[0];
}

void oracle_fini(struct oracle *o)
{
	free(o->chunks);
	*o = (struct oracle){0};
}

static void fail_with(struct rig *rig, const struct oracle *o)
{
	fprintf(stderr, "seed %" PRIu64 ", event %" PRIu64 ": %s\n", rig->world.seed,
		rig->world.events, o->problem);
	abort();
}

void oracle_demand(struct rig *rig, const char *stream)
{
	struct oracle o;
	if (!oracle_read(&o, rig, stream))
		fail_with(rig, &o);
	oracle_fini(&o);
}

/* The days object says of each day what the records say. */
static void check_totals(struct oracle *o)
{
	char name[STORE_NAME_MAX + 1];
	struct index_days days = {0};
	size_t len;
	index_days_name(name, o->stream);
	const uint8_t *bytes = store_model_bytes(o->rig->model, STORE_META, name, &len);
	if (!bytes || index_days_decode(bytes, len, &days))
		return;
	for (size_t i = 0; i < days.count; i++) {
		uint64_t sum = 0;
		for (size_t k = 0; k < o->chunk_count; k++)
			if (o->chunks[k].fragments &&
				wall_day(o->chunks[k].record.start) == days.days[i].day)
				sum += o->chunks[k].record.bytes;
		if (sum != days.days[i].bytes)
			problem(o, "%s: day %d has %" PRIu64 " bytes, not %" PRIu64, name,
				days.days[i].day, sum, days.days[i].bytes);
	}
	index_days_fini(&days);
}

bool oracle_rests(struct rig *rig, const char *stream, char *ret_problem, size_t size)
{
	struct oracle o;
	oracle_read(&o, rig, stream);
	if (o.head.intent_count)
		problem(&o, "%u intents are left", o.head.intent_count);
	for (size_t i = 0; i < o.chunk_count; i++)
		if (!o.chunks[i].indexed || !o.chunks[i].sealed)
			problem(&o, "chunk %" PRIx64 ".%u is not indexed", o.chunks[i].id.epoch,
				o.chunks[i].id.seq);
	check_totals(&o);
	bool rests = !o.problem[0];
	if (!rests)
		snprintf(ret_problem, size, "seed %" PRIu64 " at rest: %s", rig->world.seed,
			o.problem);
	oracle_fini(&o);
	return rests;
}

void oracle_demand_rest(struct rig *rig, const char *stream)
{
	struct oracle o = {0};
	if (!oracle_rests(rig, stream, o.problem, sizeof(o.problem)))
		fail_with(rig, &o);
}
