/* SPDX-License-Identifier: Apache-2.0 */
/* What makes several daemons one cluster: the object `cat/cluster` with its id and format level.
 * Loop thread only. */
#pragma once

#include "base/loop.h"
#include "storaged/store/store.h"

#define CLUSTER_ID_SIZE      16
#define CLUSTER_FORMAT_LEVEL 1

struct cluster_open {
	void (*done)(struct cluster_open *req); /* once, later */
	int status; /* 0; ERR_VERSION: written by a newer program; ERR_FORMAT; what the store says
		     */
	uint8_t id[CLUSTER_ID_SIZE];
	uint32_t format_level;
	/* private */
	struct loop *loop;
	struct store *store;
	struct store_read read;
	struct store_write write;
};

/* Reads the cluster's object, or makes it when the store has none: of two daemons that do so at
 * once one wins and both read its id. */
void cluster_open(struct loop *loop, struct store *store, struct cluster_open *req);
