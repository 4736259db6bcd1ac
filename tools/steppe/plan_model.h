/* SPDX-License-Identifier: Apache-2.0 */
/* What so many cameras need: bytes, disks, hosts, daemons, cores, network, memory, connections.
 * Arithmetic alone, no I/O; every factor is explained in docs/operate/planning.md, with its source.
 *
 * Two kinds of machine are counted apart: *hosts* hold the disks and run an OSD for each, *nodes*
 * run storaged. They may be the same machines; then their needs add up. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct plan_pool {
	uint32_t copies; /* replicated; 0: erasure-coded */
	uint32_t k, m;
	uint32_t unit; /* bytes of a stripe on one disk, erasure-coded pools alone */
};

/* "replicated:3" or "ec:8+3"; -EINVAL. Leaves `unit`. */
int plan_pool_parse(const char *text, struct plan_pool *ret_pool);
/* Bytes on disks for each byte kept. */
double plan_pool_factor(const struct plan_pool *p);

/* What is built with, and how full it may be. Shares are of 1. */
struct plan_site {
	struct plan_pool pool;
	double retention_s;
	double viewing; /* footage that is read, as a share of what comes in */
	double disk_bytes, disk_fill, disk_busy, disk_seek_s, disk_rate; /* rate: bytes a second */
	double host_disks;
	double node_net, node_cores, node_cameras; /* net: bits a second, each way */
	double net_fill, cpu_fill;
	double recorder_cameras; /* that share a recorder's connections */
	double storaged_cpu;     /* CPU seconds for a GB (10^9 bytes) taken in or given out */
	double osd_cpu;          /* of all OSDs, for a GB in writes of 1 MiB with three copies */
	double cap;              /* most a node carries, of its fair share */
	uint32_t racks;
};

struct plan_demand {
	uint32_t cameras;
	double bits; /* a second, all cameras */
};

enum plan_limit { PLAN_BY_ROOM, PLAN_BY_SEEKS, PLAN_BY_CAMERAS, PLAN_BY_NET, PLAN_BY_CPU };

struct plan_store {
	double bytes_a_day, bytes_kept; /* footage with what Steppe adds */
	double overhead;                /* what Steppe adds, as a share of the footage */
	double raw_bytes;               /* on the disks, copies or codes included */
	double index_bytes;             /* in the meta pool, three copies included */
	double chunks, chunk_s, chunk_bytes;
	double batch_s, batch_bytes; /* one write of one camera */
	double write_bytes;          /* what one disk gets of it */
	double disks, hosts;
	double disk_busy; /* share of the time */
	enum plan_limit disks_by;
	double cores, host_cores, host_memory, host_net_in, host_net_out; /* bits a second */
};

struct plan_daemons {
	double units; /* ordinary nodes that are just enough */
	enum plan_limit nodes_by;
	double nodes; /* with a rack gone and the cap: what to buy */
};

/* One ordinary node among `nodes`, carrying its fair share. */
struct plan_node {
	double cameras, net, cores, connections, recorders;
	double memory, ingest_memory; /* the second is a part of the first, and a setting */
};

void plan_store_needs(
	const struct plan_site *s, const struct plan_demand *d, struct plan_store *ret_store);
void plan_daemon_needs(
	const struct plan_site *s, const struct plan_demand *d, struct plan_daemons *ret_daemons);
/* `units`: of all nodes' weights, in ordinary nodes; `share`: how much of its fair share the node
 * carries (1, or more after a takeover). */
void plan_node_needs(const struct plan_site *s, const struct plan_demand *d, double nodes,
	double units, double share, struct plan_node *ret_node);
