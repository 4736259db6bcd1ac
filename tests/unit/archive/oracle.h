/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a stream back from the objects alone, as PROTOCOL "Read" tells anyone to, and holds it
 * against what the recorders know. Shares no code with the archive's own reader. */
#pragma once

#include "tests/unit/archive/rig.h"

struct oracle_chunk {
	struct chunk_id id;
	bool indexed, sealed;
	struct index_record record;
	uint64_t session, first_seq, last_seq;
	uint32_t fragments;
};

/* What was found of one stream. */
struct oracle {
	struct rig *rig;
	char stream[STREAM_NAME_MAX + 1];
	bool exists;
	struct head head;
	uint64_t epoch;
	struct oracle_chunk *chunks; /* in order of id */
	size_t chunk_count, chunk_room;
	char problem[512]; /* "" : none; else the first promise found broken */
};

/* Reads the stream and checks, at this very instant: every acknowledged fragment is there, exactly
 * once, unchanged and in order (P1, P2); nothing that was not sent (P4); every record agrees with
 * its chunk's own bytes (P6); every chunk is found without a list; and every partition is named by
 * the days object. Returns o->problem[0] == 0. */
bool oracle_read(struct oracle *o, struct rig *rig, const char *stream);
void oracle_fini(struct oracle *o);
/* The same, failing the test with the problem and the seed. */
void oracle_demand(struct rig *rig, const char *stream);
/* Whether a stream at rest has all that oracle_demand_rest asks; else the problem in words. */
bool oracle_rests(struct rig *rig, const char *stream, char *ret_problem, size_t size);
/* For a stream at rest: no intent is left, every chunk is sealed and indexed, the days' totals
 * agree with the records. */
void oracle_demand_rest(struct rig *rig, const char *stream);
