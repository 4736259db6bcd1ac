/* SPDX-License-Identifier: Apache-2.0 */
/* Strict daemons (fake_daemon.h) that share a map and the footage of one stream: whoever the map
 * says owns it takes it when it is asked for, with what is durable; who held it before can make
 * nothing durable any more, and says so when it tries. */
#pragma once

#include "tests/unit/client/fake_daemon.h"
#include "tests/unit/client/fake_map.h"

struct fake_cluster {
	struct fake_map map; /* the one that is published; daemons may lag behind: `map` in them */
	struct fake_daemon *daemons[FAKE_NODES];
	struct fake_daemon *holder; /* whose writes are accepted; NULL: nobody took it yet */
	unsigned takeovers;
};

/* Makes daemons that were started members, alive, of a map with epoch 1. */
void fake_cluster_init(struct fake_cluster *c, struct fake_daemon *const *daemons, unsigned count);
/* Whether the daemon is to answer a question about the stream, which it then holds (not with `any`:
 * then it has what is durable); else it has redirected. */
bool fake_cluster_judge(
	struct fake_daemon *d, struct channel *ch, uint32_t number, const char *stream, bool any);
/* The owner by the published map; NULL: nobody is alive. */
struct fake_daemon *fake_cluster_owner(const struct fake_cluster *c, const char *camera);
/* The map says so from now on, to all daemons. */
void fake_cluster_set(struct fake_cluster *c, const struct fake_daemon *d, bool alive);
