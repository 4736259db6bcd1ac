/* SPDX-License-Identifier: Apache-2.0 */
/* Someone who looks, with the client library's own core: windows forwards and backwards, the live
 * edge, timelines, of any camera through any daemon. What was acknowledged when a question began
 * must be in its answer (P2), once, unchanged, and nothing else (P4). */
#pragma once

#include "client/core.h"
#include "tests/sim/world.h"

struct look;

struct viewer {
	struct world *world;
	unsigned index;
	char party[16];
	struct model_party model_party;
	struct sim_loop loop;
	struct worker *worker;
	struct core core;
	struct look *look; /* NULL: idle */
	struct loop_timer next;
	unsigned failures; /* in a row */
	bool stopped, core_gone;
	struct loop_task core_stopped;
};

void viewer_init(struct viewer *v, struct world *w, unsigned index);
/* Asks nothing by itself any more; a follower stops. */
void viewer_rest(struct viewer *v);
bool viewer_is_idle(const struct viewer *v);
/* Fetches everything of a camera, until it succeeds; world_wait for viewer_is_idle. */
void viewer_fetch_all(struct viewer *v, unsigned camera);
void viewer_stop(struct viewer *v);
void viewer_fini(struct viewer *v);
