/* SPDX-License-Identifier: Apache-2.0 */
/* What a window of a stream is made of at one instant: chunks with their tables, as the daemon
 * keeps them for ten minutes. */
#pragma once

#include "client/ask.h"
#include "client/clip_layout.h"

#define SNAPSHOT_NAME_MAX 200

struct snapshot_chunk {
	char name[SNAPSHOT_NAME_MAX + 1];
	uint64_t epoch;
	struct buf *init;
	struct chunk_table table;
};

/* A zeroed one is empty. */
struct snapshot {
	uint8_t id[32];
	size_t id_len;
	char daemon[CLUSTER_NODE_ADDRESS_MAX + 1]; /* that keeps it: "host:port" */
	int64_t expires_us;
	struct snapshot_chunk *chunks;
	size_t chunk_count, chunk_room;
	struct steppe_gap_span *gaps;
	size_t gap_count;
};

struct snapshot_query {
	const char *stream, *camera;
	int64_t from_us, to_us;
	const char *purpose, *case_id;
};

/* Blocking: takes a snapshot. 0; ERR_REFUSED; ERR_FORMAT, ERR_CHECKSUM ...; -ENOMEM. */
int snapshot_take(
	struct core *core, const struct snapshot_query *query, struct snapshot *ret_snapshot);
void snapshot_fini(struct snapshot *s);
/* Whether two snapshots have the same bytes for a fragment: its place, length and digest. */
bool snapshot_same_fragment(
	const struct snapshot_chunk *a, uint32_t fragment, const struct snapshot_chunk *b);
