/* SPDX-License-Identifier: Apache-2.0 */
/* A daemon of the simulated cluster: the rooms as server_loop.c puts them together, on one loop. Its
 * process can be killed, stopped and resumed, ended in order, and started anew. */
#pragma once

#include "storaged/session/service.h"
#include "tests/sim/world.h"

struct process;

struct daemon {
	struct world *world;
	unsigned index;
	char name[16], address[24];
	struct process *process; /* NULL: none runs */
	bool paused, requests_cut, replies_cut;
	struct loop_timer again; /* of one that ended because it could not join */
};

void daemon_init(struct daemon *d, struct world *w, unsigned index);
/* A new process with a boot nonce of its own. */
void daemon_start(struct daemon *d);
/* kill -9: everything in memory is gone; what was under way to the store is lost, applied, or
 * applied late. */
void daemon_kill(struct daemon *d);
/* SIGSTOP and SIGCONT. */
void daemon_pause(struct daemon *d, bool paused);
/* SIGTERM: recorders are sent away, chunks sealed, streams yielded; process becomes NULL in the
 * end. */
void daemon_stop(struct daemon *d);
/* Cuts its way to the store. */
void daemon_cut_store(struct daemon *d, bool requests, bool replies);
/* The whole store as this daemon sees it does not answer at all, for as long as it lasts. */
void daemon_stall_store(struct daemon *d, bool stalled);
/* An admin's word to this daemon about a node of the cluster, if there is one. */
void daemon_set_node(struct daemon *d, const struct daemon *node, uint8_t state, uint32_t weight);
void daemon_step_clock(struct daemon *d, int64_t by_us);
/* Takes a stream for a moment, unless it holds it already: what a dead owner left is recovered. */
void daemon_take(struct daemon *d, const char *stream);
/* Whose process the store of that number is; NULL: one that is no more. */
struct daemon *daemon_of_origin(struct world *w, unsigned origin);
/* Neither killed, paused, ending nor cut off. */
bool daemon_is_well(const struct daemon *d);
