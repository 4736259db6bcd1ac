/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon counts, as one table: names, kinds, help. Any thread may count; costs one relaxed
 * addition. Written out in the Prometheus text format (version 0.0.4). */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* X(id, name, kind, help) */
#define METRICS(X)                                                                                 \
	X(CONNECTIONS, "steppe_connections", GAUGE,                                                \
		"Connections that passed TLS and greeting, now.")                                  \
	X(HANDSHAKES_FAILED, "steppe_handshakes_failed_total", COUNTER,                            \
		"Connections refused before the greeting ended.")                                  \
	X(CONNECTIONS_LOST, "steppe_connections_lost_total", COUNTER,                              \
		"Connections that broke, fell silent, or whose peer stopped reading.")             \
	X(RECORDING, "steppe_streams_recording", GAUGE, "Streams being recorded, now.")            \
	X(INGEST_BYTES, "steppe_ingest_bytes_total", COUNTER,                                      \
		"Fragment bytes taken from recorders.")                                            \
	X(INGEST_FRAGMENTS, "steppe_ingest_fragments_total", COUNTER,                              \
		"Fragments taken from recorders.")                                                 \
	X(DISCONTINUITIES, "steppe_discontinuities_total", COUNTER,                                \
		"Fragments whose time does not follow from their predecessor's.")                  \
	X(CLOCK_BACK, "steppe_clock_back_total", COUNTER,                                          \
		"Fragments captured before their predecessor, by their own time.")                 \
	X(DURABLE_BYTES, "steppe_durable_bytes_total", COUNTER,                                    \
		"Fragment bytes acknowledged as durable.")                                         \
	X(UNDURABLE_BYTES, "steppe_undurable_bytes", GAUGE,                                        \
		"Fragment bytes taken and not durable yet, now.")                                  \
	X(GAPS_REPORTED, "steppe_gaps_reported_total", COUNTER, "Holes reported by recorders.")    \
	X(FETCHES, "steppe_fetches", GAUGE, "Retrievals under way, now.")                          \
	X(FETCHED_BYTES, "steppe_fetched_bytes_total", COUNTER, "Footage bytes sent to viewers.")  \
	X(FETCHED_FRAGMENTS, "steppe_fetched_fragments_total", COUNTER,                            \
		"Fragments sent to viewers.")                                                      \
	X(DAMAGED_FRAGMENTS, "steppe_damaged_fragments_total", COUNTER,                            \
		"Fragments found damaged when they were read.")                                    \
	X(TIMELINES, "steppe_timelines_total", COUNTER, "Timelines and calendars answered.")       \
	X(SNAPSHOTS, "steppe_snapshots", GAUGE, "Clip snapshots kept, now.")                       \
	X(STREAMS_OWNED, "steppe_streams_owned", GAUGE, "Streams this daemon owns, now.")          \
	X(REDIRECTS, "steppe_redirects_total", COUNTER,                                            \
		"Requests sent on to the daemon that owns the stream.")                            \
	X(MAP_EPOCH, "steppe_map_epoch", GAUGE, "Epoch of the cluster's map in force.")            \
	X(NODES_ALIVE, "steppe_nodes_alive", GAUGE, "Nodes alive, by the map in force.")           \
	X(EXPIRY_ROUNDS, "steppe_expiry_rounds_total", COUNTER,                                    \
		"Rounds in which footage past its ceiling was looked for, of each loop.")          \
	X(EXPIRED_CHUNKS, "steppe_expired_chunks_total", COUNTER,                                  \
		"Chunks removed because they had passed their ceiling.")                           \
	X(EXPIRED_BYTES, "steppe_expired_bytes_total", COUNTER, "Bytes of these.")                 \
	X(EXPIRY_LEFT, "steppe_expiry_left_chunks", GAUGE,                                         \
		"Chunks past their ceiling, no longer shown, that may not be removed yet.")        \
	X(EXPIRY_FAILURES, "steppe_expiry_failures_total", COUNTER,                                \
		"Streams that retention gave up until its next round.")                            \
	X(STORE_USED, "steppe_store_used_bytes", GAUGE, "Bytes used in the data pool.")            \
	X(STORE_TOTAL, "steppe_store_total_bytes", GAUGE, "Bytes the data pool has.")              \
	X(STORE_HEALTHY, "steppe_store_healthy", GAUGE,                                            \
		"1 while recordings can be taken, else 0; /health says why.")                      \
	X(STORE_FULL, "steppe_store_full", GAUGE, "1 while the store has no room.")                \
	X(STORE_ANSWERS, "steppe_store_answers", GAUGE, "1 while the store answers.")

/* X(id, name, help): what is asked of the store, counted for each pool. */
#define STORE_METRICS(X)                                                                           \
	X(WRITES, "steppe_store_writes_total", "Writes asked of the store.")                       \
	X(DONE, "steppe_store_writes_done_total", "Writes and removals that became durable.")      \
	X(NO_SPACE, "steppe_store_writes_full_total", "Writes refused for want of space.")         \
	X(FAILED, "steppe_store_writes_failed_total",                                              \
		"Writes that failed, or of which nobody knows.")                                   \
	X(REMOVES, "steppe_store_removes_total", "Removals asked of the store.")                   \
	X(READS, "steppe_store_reads_total", "Reads asked of the store.")                          \
	X(LISTS, "steppe_store_lists_total",                                                       \
		"Walks over a whole pool: fsck and rebuilds alone, never for footage.")            \
	X(WRITTEN, "steppe_store_written_bytes_total", "Bytes given to the store to write.")       \
	X(READ, "steppe_store_read_bytes_total", "Bytes the store read for us.")

enum metric {
#define METRIC_ENUM(id, name, kind, help) METRIC_##id,
	METRICS(METRIC_ENUM)
#undef METRIC_ENUM
		METRIC_COUNT
};

enum store_metric {
#define STORE_METRIC_ENUM(id, name, help) STORE_METRIC_##id,
	STORE_METRICS(STORE_METRIC_ENUM)
#undef STORE_METRIC_ENUM
		STORE_METRIC_COUNT
};
#define METRIC_POOLS 8

void metrics_add(enum metric metric, uint64_t count);
void metrics_gauge_add(enum metric metric, int64_t delta);
void metrics_gauge_set(enum metric metric, uint64_t value);
uint64_t metrics_get(enum metric metric);
/* How many pools the page tells of; at most METRIC_POOLS. */
void metrics_store_pools(int count);
void metrics_store_add(int pool, enum store_metric metric, uint64_t count);
uint64_t metrics_store_get(int pool, enum store_metric metric);
/* One more refusal with this number (proto/refusal.h). */
void metrics_refusal(int refusal);
uint64_t metrics_refusals(int refusal);
/* One recorder's wait from taking a fragment to its being durable. */
void metrics_durable_wait(int64_t wait_ns);

/* Writes the text into `to` (at most `size` bytes with the NUL); the length it has or would have. */
size_t metrics_format(char *to, size_t size);
