/* SPDX-License-Identifier: Apache-2.0 */
/* The cluster's map as a message: to be sent, or to be changed and written. Borrows every string
 * from the map it was made of and from the changes made to it. Pure. */
#pragma once

#include "proto/cluster_map.h"

struct cluster_draft {
	Steppe__Wire__ClusterMap message;
	/* private */
	Steppe__Wire__MapNode *nodes;
	size_t room;
};

/* A message that says what `from` says (NULL: an empty map, epoch 0), with room for `more` nodes. 0
 * or -ENOMEM. */
int cluster_draft_init(struct cluster_draft *d, const struct cluster_map *from, size_t more);
/* Harmless twice. */
void cluster_draft_fini(struct cluster_draft *d);

/* The node by id, NULL: it is not there. */
Steppe__Wire__MapNode *cluster_draft_find(const struct cluster_draft *d, const char *id);
/* A node more, with an id alone; NULL: there is no room. */
Steppe__Wire__MapNode *cluster_draft_add(struct cluster_draft *d, const char *id);
/* Takes a node out; cameras displaced to it go back to their first choice. */
void cluster_draft_remove(struct cluster_draft *d, const Steppe__Wire__MapNode *node);
