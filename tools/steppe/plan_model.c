/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/steppe/plan_model.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define KIB 1024.0
#define MIB (1024.0 * KIB)
#define GIB (1024.0 * MIB)
#define GB  1e9
#define DAY 86400.0

/* What the archive room does; storaged/archive/cutter.h and openchunk.c. */
#define FRAGMENT_S    1.0
#define BATCH_BYTES   MIB
#define COARSE        4096.0 /* alignments above it make a batch wait ... */
#define COARSE_FILL   16.0   /* ... for so many of them ... */
#define COARSE_WAIT_S 9.0    /* ... at most so long */
#define CHUNK_S       60.0
#define CHUNK_LEAST   (4 * MIB)
#define CHUNK_MOST    (32 * MIB)
#define CHUNK_LONGEST 900.0

/* Bytes that Steppe adds: docs/format/chunk.md, table.md, index.md. */
#define FRAGMENT_ADDS (184.0 + 32.0) /* its box; its digest in the table */
#define PICTURE_ADDS  2.2            /* measured */
#define PICTURES_A_S  25.0
#define CHUNK_ADDS    (188.0 + 144.0 + 1200.0) /* header, seal, init segment */
#define RECORD_BYTES  192.0
#define META_COPIES   3.0
#define META_STREAM   (4096.0 + 4096.0) /* head, days */

/* OSDs, as parts of what a GB costs them in writes of 1 MiB with three copies: measured with 256 KiB
 * to 4 MiB a write, on three copies and on a code of 2+1. */
#define OSD_BY_WRITES   0.23           /* goes by the number of writes, the rest by bytes */
#define OSD_CODING      0.65           /* comes on top for a GB that is coded */
#define OSD_WRITES_A_GB (GB / MIB * 3) /* of all replicas */
#define OSD_COPIES      3.0
#define OSD_READ_S      1.2        /* a GB; assumed */
#define OSD_MEMORY      (4 * GIB)  /* Ceph's osd_memory_target */
#define HOST_MEMORY     (16 * GIB) /* the rest of the machine */
#define OSD_JOURNALED   (64 * KIB) /* HDDs get writes up to this twice */
#define READ_BYTES      MIB        /* one read of a long fetch */

/* Memory of a stream being written: docs/design/writing.md. */
#define STREAM_MEMORY  ((7.6 + 2 * 0.3 + 1.5 * 2.3) * KIB)
#define TABLE_FRAGMENT 176.0
#define TABLE_PICTURE  16.0
#define TABLE_SLACK    2.0 /* what realloc may hold */
#define UNDURABLE_S    0.2 /* on its way, over the time a batch waits */
#define STALL          2.0 /* so much more room, that a slow second slows no recorder */
#define INGEST_LEAST   (2 * GIB)
#define DAEMON_MEMORY  (512 * MIB) /* program, librados, buffers */
#define LOOP_MEMORY    (64 * MIB)  /* limits.cache_memory */
#define LINK_MEMORY    30e3        /* measured, idle */

int plan_pool_parse(const char *text, struct plan_pool *ret_pool)
{
	struct plan_pool p = {.unit = ret_pool->unit};
	const char *colon = strchr(text, ':');
	char *end;
	if (!colon || colon[1] < '0' || colon[1] > '9')
		return -EINVAL;
	unsigned long first = strtoul(colon + 1, &end, 10);
	if (strncmp(text, "replicated:", 11) == 0) {
		if (*end || first < 1 || first > 10)
			return -EINVAL;
		p.copies = (uint32_t)first;
	} else if (strncmp(text, "ec:", 3) == 0) {
		if (*end != '+' || end[1] < '0' || end[1] > '9')
			return -EINVAL;
		unsigned long second = strtoul(end + 1, &end, 10);
		if (*end || first < 2 || first > 32 || second < 1 || second > 16)
			return -EINVAL;
		p.k = (uint32_t)first;
		p.m = (uint32_t)second;
	} else {
		return -EINVAL;
	}
	*ret_pool = p;
	return 0;
}

double plan_pool_factor(const struct plan_pool *p)
{
	return p->copies ? p->copies : (double)(p->k + p->m) / p->k;
}

static double clamp(double v, double least, double most)
{
	return v < least ? least : v > most ? most : v;
}

/* --- disks --- */

static double alignment(const struct plan_pool *p)
{
	return p->copies ? 4096.0 : (double)p->k * p->unit;
}

/* How a camera's footage is cut into writes and chunks. */
static void cut(const struct plan_site *s, double rate, struct plan_store *r)
{
	double coarse = alignment(&s->pool);
	r->batch_bytes = fmin(rate * FRAGMENT_S, BATCH_BYTES);
	if (coarse > COARSE)
		r->batch_bytes =
			fmax(r->batch_bytes, fmin(COARSE_FILL * coarse, rate * COARSE_WAIT_S));
	r->batch_s = r->batch_bytes / rate;
	r->chunk_s = fmin(fmax(CHUNK_S, CHUNK_LEAST / rate), CHUNK_LONGEST);
	r->chunk_s = fmin(r->chunk_s, CHUNK_MOST / rate);
	double fragment_s = fmin(FRAGMENT_S, BATCH_BYTES / rate);
	double added = FRAGMENT_ADDS / fragment_s + PICTURE_ADDS * PICTURES_A_S +
		       CHUNK_ADDS / r->chunk_s + coarse / 2 / r->batch_s;
	r->overhead = added / rate;
	r->chunk_bytes = rate * (1 + r->overhead) * r->chunk_s;
	r->write_bytes = r->batch_bytes / (s->pool.copies ? 1 : s->pool.k);
}

/* Disks by what they hold, and by what they can do in a second. */
static void count_disks(const struct plan_site *s, double in, struct plan_store *r)
{
	double shards = s->pool.copies ? s->pool.copies : s->pool.k + s->pool.m;
	double batches = in / r->batch_bytes, chunks = in / r->chunk_bytes;
	double reads = in * s->viewing / READ_BYTES * (s->pool.copies ? 1 : s->pool.k);
	double twice = r->write_bytes <= OSD_JOURNALED ? 2 : 1;
	double written = in * (1 + r->overhead) * plan_pool_factor(&s->pool) * twice;
	/* each chunk that comes means one that goes, with its record */
	double seeks = (batches + 2 * chunks) * shards + reads;
	double busy = seeks * s->disk_seek_s + (written + in * s->viewing) / s->disk_rate;
	double by_room = ceil((r->raw_bytes + r->index_bytes) / (s->disk_bytes * s->disk_fill));
	double by_seeks = ceil(busy / s->disk_busy);
	double least_hosts = s->pool.copies ? s->pool.copies : s->pool.k + s->pool.m;
	r->disks = fmax(fmax(by_room, by_seeks), least_hosts);
	r->disks_by = by_seeks > by_room ? PLAN_BY_SEEKS : PLAN_BY_ROOM;
	r->disk_busy = busy / r->disks;
	r->hosts = fmax(ceil(r->disks / s->host_disks), least_hosts);
}

static void size_hosts(const struct plan_site *s, double in, struct plan_store *r)
{
	double shards = s->pool.copies ? s->pool.copies : s->pool.k + s->pool.m;
	double factor = plan_pool_factor(&s->pool);
	double a_write = s->osd_cpu * OSD_BY_WRITES / OSD_WRITES_A_GB;
	double a_gb = s->osd_cpu * (1 - OSD_BY_WRITES) / OSD_COPIES * factor;
	if (!s->pool.copies)
		a_gb += s->osd_cpu * OSD_CODING;
	double busy =
		in / GB * (a_gb + s->viewing * OSD_READ_S) + in / r->batch_bytes * shards * a_write;
	r->cores = ceil(busy / s->cpu_fill);
	r->host_cores = r->cores / r->hosts;
	r->host_memory = r->disks / r->hosts * OSD_MEMORY + HOST_MEMORY;
	/* the first OSD of a group gets all and sends the others their part */
	double passed_on = in * (s->pool.copies ? factor - 1 : factor - 1.0 / s->pool.k);
	double gathered = s->pool.copies ? 0 : in * s->viewing * (s->pool.k - 1) / s->pool.k;
	r->host_net_in = 8 * (in + passed_on + gathered) / r->hosts;
	r->host_net_out = 8 * (passed_on + gathered + in * s->viewing) / r->hosts;
}

void plan_store_needs(
	const struct plan_site *s, const struct plan_demand *d, struct plan_store *ret_store)
{
	struct plan_store r = {0};
	double in = d->bits / 8, rate = in / d->cameras;
	cut(s, rate, &r);
	r.bytes_a_day = in * DAY * (1 + r.overhead);
	r.bytes_kept = in * s->retention_s * (1 + r.overhead);
	r.raw_bytes = r.bytes_kept * plan_pool_factor(&s->pool);
	r.chunks = s->retention_s / r.chunk_s * d->cameras;
	r.index_bytes = META_COPIES * (r.chunks * RECORD_BYTES + META_STREAM * d->cameras);
	count_disks(s, in, &r);
	size_hosts(s, in, &r);
	*ret_store = r;
}

/* --- daemons --- */

static double traffic(const struct plan_site *s, const struct plan_demand *d)
{
	/* footage goes in and on, what is viewed comes and goes: the same both ways */
	return d->bits * (1 + s->viewing);
}

static double cores(const struct plan_site *s, const struct plan_demand *d)
{
	return traffic(s, d) / 8 / GB * s->storaged_cpu / s->cpu_fill;
}

void plan_daemon_needs(
	const struct plan_site *s, const struct plan_demand *d, struct plan_daemons *ret_daemons)
{
	double by_cameras = d->cameras / s->node_cameras;
	double by_net = traffic(s, d) / (s->node_net * s->net_fill);
	double by_cpu = cores(s, d) / s->node_cores;
	struct plan_daemons r = {.units = by_cameras, .nodes_by = PLAN_BY_CAMERAS};
	if (by_net > r.units) {
		r.units = by_net;
		r.nodes_by = PLAN_BY_NET;
	}
	if (by_cpu > r.units) {
		r.units = by_cpu;
		r.nodes_by = PLAN_BY_CPU;
	}
	double busiest = r.units * s->cap;
	double racks = clamp(s->racks, 1, ceil(busiest) + 1);
	/* racks are filled one after the other, so the fullest has the remainder too */
	r.nodes = racks > 1 ? ceil(busiest * racks / (racks - 1)) : ceil(busiest) + 1;
	while (racks > 1 && r.nodes - ceil(r.nodes / racks) < busiest)
		r.nodes++;
	*ret_daemons = r;
}

void plan_node_needs(const struct plan_site *s, const struct plan_demand *d, double nodes,
	double units, double share, struct plan_node *ret_node)
{
	double part = share / units, rate = d->bits / 8 / d->cameras;
	struct plan_store cuts = {0};
	struct plan_node r = {.cameras = d->cameras * part,
		.net = traffic(s, d) * part,
		.cores = cores(s, d) * part,
		.recorders = ceil(d->cameras / s->recorder_cameras)};
	/* a recorder is linked with each node that owns one of its cameras; a viewer, with the
	 * node of each camera viewed */
	double meets = 1 - pow(1 - fmin(part, 1), s->recorder_cameras);
	r.connections = r.recorders * meets + d->cameras * s->viewing * part + nodes;
	cut(s, rate, &cuts);
	double tables = TABLE_SLACK * cuts.chunk_s *
			(TABLE_FRAGMENT / FRAGMENT_S + TABLE_PICTURE * PICTURES_A_S);
	double undurable = r.cameras * rate * (cuts.batch_s + UNDURABLE_S);
	r.ingest_memory = fmax(STALL * undurable, INGEST_LEAST);
	r.memory = DAEMON_MEMORY + LOOP_MEMORY * s->node_cores +
		   r.cameras * (STREAM_MEMORY + tables) + r.ingest_memory +
		   r.connections * LINK_MEMORY;
	*ret_node = r;
}
