/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/chunk_survey.h"

#include <errno.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "base/errors.h"

#define SAMPLES_FIRST 512u
#define SAMPLES_LAST  (1u << 18) /* as many as a moof of 4 MiB can name */

/* Reads the moof of a body whose checksum holds, however many samples it names. *ret_samples to be
 * freed in any case. */
static int read_runs(const struct chunk_item *item, const uint8_t *body,
	const struct bmff_init *init, struct bmff_fragment *f)
{
	*f = (struct bmff_fragment){.init = init};
	for (uint32_t room = SAMPLES_FIRST; room <= SAMPLES_LAST; room *= 8) {
		free(f->samples);
		f->samples = malloc(room * sizeof(*f->samples));
		f->sample_room = room;
		if (!f->samples)
			return -ENOMEM;
		int rc = bmff_fragment_read(f, body, (size_t)item->len, item->header.body_len);
		if (rc != ERR_LIMIT)
			return rc;
	}
	return ERR_LIMIT;
}

static void tell_damage(struct chunk_survey *s, const struct chunk_item *item)
{
	s->damaged++;
	s->damaged_bytes += item->len;
	s->lost_before = true;
	if (s->damage)
		s->damage(s, item);
}

static int take_fragment(struct chunk_survey *s, const uint8_t *data, const struct chunk_item *item,
	const struct bmff_init *init)
{
	struct bmff_fragment f;
	int rc = read_runs(item, data + item->offset, init, &f);
	if (rc == 0)
		rc = chunk_table_add(
			&s->table, &item->header, (uint32_t)item->offset, f.runs, f.run_count);
	free(f.samples);
	if (rc == -ENOMEM)
		return rc;
	if (rc < 0) {
		/* the checksums hold, but no writer of ours puts this there */
		tell_damage(s, item);
		return 0;
	}
	uint8_t cause =
		item->gap_cause == GAP_NONE && s->lost_before ? GAP_DAMAGED : item->gap_cause;
	s->table.fragments[s->table.fragment_count - 1].gap_cause = cause;
	s->lost_before = false;
	chunk_retention_add(&s->seal.retention, &item->header, item->receipt);
	return 0;
}

static int take_seal(
	struct chunk_survey *s, const uint8_t *data, size_t len, const struct chunk_item *item)
{
	struct chunk_table table = {0};
	struct chunk_seal seal;
	int rc = chunk_seal_parse(data + item->offset, len - (size_t)item->offset, &seal, &table);
	if (rc == -ENOMEM)
		return rc;
	if (rc < 0 || seal.seal_offset != item->offset) {
		chunk_table_fini(&table);
		tell_damage(s, item);
		return 0;
	}
	chunk_table_fini(&s->table);
	s->table = table;
	s->seal = seal;
	s->sealed = true;
	return 0;
}

int chunk_survey(struct chunk_survey *s, const void *data, size_t len)
{
	void (*told)(struct chunk_survey *, const struct chunk_item *) = s->damage;
	*s = (struct chunk_survey){.damage = told};
	struct bmff_init init;
	if (chunk_head_parse(data, len, &s->header, &s->init_len, &s->head_len) == 0 &&
		bmff_init_parse(data, s->init_len, &init) == 0) {
		s->head_known = true;
		s->init_crc = crc32c(0, data, s->init_len);
		chunk_table_init(&s->table, &init);
	}
	uint64_t at = s->head_known ? s->head_len : 0;
	s->end = at;
	for (int rc = 0;;) {
		struct chunk_item item;
		chunk_scan(data, len, &at, true, &item);
		switch (item.kind) {
		case CHUNK_ITEM_END:
			if (s->sealed)
				return 0;
			if (!s->head_known)
				return ERR_DAMAGED;
			s->seal.end_reason = CHUNK_END_RECOVERED;
			s->seal.damaged = s->damaged > 0;
			s->seal.seal_offset = s->end;
			return chunk_seal_fill(&s->seal, &s->table);
		case CHUNK_ITEM_DAMAGE:
			tell_damage(s, &item);
			break;
		case CHUNK_ITEM_FRAGMENT:
			if (s->head_known)
				rc = take_fragment(s, data, &item, &init);
			s->end = item.offset + item.len;
			break;
		case CHUNK_ITEM_SEAL:
			rc = take_seal(s, data, len, &item);
			break;
		}
		if (rc < 0)
			return rc;
	}
}

void chunk_survey_fini(struct chunk_survey *s)
{
	chunk_table_fini(&s->table);
}
