/* SPDX-License-Identifier: Apache-2.0 */
/* A cluster in one process on virtual time: daemons of the real rooms over one model store and one
 * model network, cameras with the real recorder, viewers with the real client; faults drawn from a
 * seed; an oracle that sees every change of every object. The same seed gives the same run, event
 * by event. One thread. */
#pragma once

#include "tests/lib/channel_model.h"
#include "tests/lib/sim_loop.h"
#include "tests/lib/store_model.h"

struct world_options {
	uint64_t seed;
	unsigned steps; /* faults before the end; 0: what the seed says */
	bool trace;     /* tell all that happens, on stderr */
};

struct daemon;
struct camera;
struct viewer;
struct oracle;
struct placing;
struct faults;
struct traps;

struct world {
	struct sim_world time;
	struct store_backend *store;
	struct model_net *net;
	struct daemon *daemons;
	struct camera *cameras;
	struct viewer *viewers;
	unsigned daemon_count, camera_count, viewer_count;
	struct placing *placing;
	struct oracle *oracle;
	struct faults *faults;
	struct traps *traps;
	bool trace;
	bool clustered; /* daemons are members of a cluster; else placing alone sends recorders */
	bool closing;   /* daemons that end stay so */
	bool healed;    /* faults have stopped: from now on everything must get done */
	char problem[512];
	uint64_t digest; /* of all changes so far: equal for equal runs */
};

/* How many of each happened, summed over runs. */
enum world_count {
	COUNT_STEPS,
	COUNT_PICTURES,
	COUNT_FRAGMENTS,
	COUNT_ACKNOWLEDGED,
	COUNT_CHANGES,
	COUNT_CHANGES_LATE,
	COUNT_REFUSED,
	COUNT_UNKNOWN,
	COUNT_TAKES,
	COUNT_CHUNKS,
	COUNT_FETCHES,
	COUNT_FETCHES_ENDED,
	COUNT_FOLLOWS,
	COUNT_TIMELINES,
	COUNT_EVENTS,
	COUNT_VIRTUAL_S,
	COUNTS
};
extern const char *const world_count_names[COUNTS];

#define FAULT_KINDS 40
struct world_result {
	char problem[512]; /* "": every promise held */
	uint64_t digest;
	uint64_t counts[COUNTS];
	uint64_t faults[FAULT_KINDS]; /* by kind, see faults.h */
};

/* One run, to its end or to the first broken promise. What killed daemons leave in memory stays
 * there: runs of many seeds are spread over processes. */
void world_run(const struct world_options *options, struct world_result *ret_result);

/* --- for the parts of the world --- */

/* A promise is broken; the first words are kept. */
void world_problem(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline bool world_failed(const struct world *w)
{
	return w->problem[0];
}
/* A line with the time, when the run is traced. */
void world_trace(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
uint64_t world_pick(struct world *w, uint64_t from, uint64_t to);
bool world_chance(struct world *w, unsigned percent);
void world_count(struct world *w, enum world_count what, uint64_t by);
/* Keeps memory in sight of leak checkers that belongs to something killed. */
void world_bury(void *memory);
/* Waits on virtual time; false, with a problem, when it takes longer. */
bool world_wait(struct world *w, bool (*condition)(void *user), void *user, int64_t seconds,
	const char *what);
