/* SPDX-License-Identifier: Apache-2.0 */
/* The figures of a plan: one table for the printed table and for JSON. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "tools/steppe/human.h"
#include "tools/steppe/plan_report.h"

#define AT(member) offsetof(struct plan_column, member)
#define EVENT(kind, member)                                                                        \
	(AT(sim.events) + (kind) * sizeof(struct plan_event) + offsetof(struct plan_event, member))

const struct plan_figure plan_figures[] = {
	{"Footage", "coming in, {bitrate} a camera", "bits_per_second", PLAN_BITS, PLAN_DOUBLE,
		AT(demand.bits)},
	{NULL, "a day", "bytes_per_day", PLAN_BYTES, PLAN_DOUBLE, AT(store.bytes_a_day)},
	{NULL, "kept for {retention}", "bytes_kept", PLAN_BYTES, PLAN_DOUBLE, AT(store.bytes_kept)},
	{NULL, "on disks, {pool}", "bytes_on_disks", PLAN_BYTES, PLAN_DOUBLE, AT(store.raw_bytes)},
	{NULL, "index, three copies", "bytes_of_index", PLAN_BYTES, PLAN_DOUBLE,
		AT(store.index_bytes)},
	{NULL, "chunk objects", "chunks", PLAN_COUNT, PLAN_DOUBLE, AT(store.chunks)},

	{"Hosts with the disks", "disks of {disk}, {fill} full", "disks", PLAN_COUNT, PLAN_DOUBLE,
		AT(store.disks)},
	{NULL, "their number follows from", "disks_by", PLAN_LIMIT, PLAN_ENUM, AT(store.disks_by)},
	{NULL, "time a disk is busy", "disk_busy", PLAN_SHARE, PLAN_DOUBLE, AT(store.disk_busy)},
	{NULL, "hosts of {disks} disks", "hosts", PLAN_COUNT, PLAN_DOUBLE, AT(store.hosts)},
	{NULL, "cores of all hosts, {cpu} busy", "host_cores_all", PLAN_COUNT, PLAN_DOUBLE,
		AT(store.cores)},
	{NULL, "  a host", "host_cores", PLAN_NUMBER, PLAN_DOUBLE, AT(store.host_cores)},
	{NULL, "memory a host", "host_memory", PLAN_BYTES, PLAN_DOUBLE, AT(store.host_memory)},
	{NULL, "network a host, in", "host_net_in", PLAN_BITS, PLAN_DOUBLE, AT(store.host_net_in)},
	{NULL, "network a host, out", "host_net_out", PLAN_BITS, PLAN_DOUBLE,
		AT(store.host_net_out)},

	{"Nodes with storaged", "nodes, {spare}", "nodes", PLAN_COUNT, PLAN_U32, AT(nodes)},
	{NULL, "just enough by {by}", "nodes_just_enough", PLAN_COUNT, PLAN_DOUBLE,
		AT(daemons.units)},
	{NULL, "racks", "racks", PLAN_COUNT, PLAN_U32, AT(racks)},
	{NULL, "cameras a node", "node_cameras", PLAN_COUNT, PLAN_DOUBLE, AT(node.cameras)},
	{NULL, "network a node, each way", "node_net", PLAN_BITS, PLAN_DOUBLE, AT(node.net)},
	{NULL, "cores of all nodes, {cpu} busy", "node_cores_all", PLAN_COUNT, PLAN_DOUBLE,
		AT(node_cores_all)},
	{NULL, "  a node", "node_cores", PLAN_NUMBER, PLAN_DOUBLE, AT(node.cores)},
	{NULL, "memory a node, {gone} gone", "node_memory", PLAN_BYTES, PLAN_DOUBLE,
		AT(worst.memory)},
	{NULL, "  limits.ingest_memory in it", "node_ingest_memory", PLAN_BYTES, PLAN_DOUBLE,
		AT(worst.ingest_memory)},
	{NULL, "connections a node, {gone} gone", "node_connections", PLAN_COUNT, PLAN_DOUBLE,
		AT(worst.connections)},

	{"Balance, busiest node / mean", "by ranking alone", "max_to_mean_first", PLAN_FACTOR,
		PLAN_DOUBLE, AT(sim.busiest_first)},
	{NULL, "with a cap of {cap}", "max_to_mean", PLAN_FACTOR, PLAN_DOUBLE, AT(sim.busiest)},
	{NULL, "cameras the cap displaces", "displaced", PLAN_CAMERAS, PLAN_SIZE,
		AT(sim.displaced)},
	{NULL, "cameras stood by for", "standby_max_to_mean", PLAN_FACTOR, PLAN_DOUBLE,
		AT(sim.standby_busiest)},
	{NULL, "stand-by in another rack", "standby_apart", PLAN_CAMERAS, PLAN_SIZE,
		AT(sim.standby_apart)},

	{"Cameras that move", "a node leaves", "moved_node_leaves", PLAN_CAMERAS, PLAN_SIZE,
		EVENT(PLAN_NODE_LEAVES, moved)},
	{NULL, "a rack leaves", "moved_rack_leaves", PLAN_CAMERAS, PLAN_SIZE,
		EVENT(PLAN_RACK_LEAVES, moved)},
	{NULL, "a node joins", "moved_node_joins", PLAN_CAMERAS, PLAN_SIZE,
		EVENT(PLAN_NODE_JOINS, moved)},
	{NULL, "a rack joins", "moved_rack_joins", PLAN_CAMERAS, PLAN_SIZE,
		EVENT(PLAN_RACK_JOINS, moved)},
	{NULL, "needless moves, all four", "moved_needlessly", PLAN_COUNT, PLAN_SIZE, AT(needless)},
	{NULL, "later, by the cap, at most", "moved_by_cap", PLAN_COUNT, PLAN_SIZE, AT(by_cap)},

	{"Takeover, mean of an ordinary day = 1", "a dead node's cameras go to, nodes",
		"takers_of_node", PLAN_COUNT, PLAN_U32, EVENT(PLAN_NODE_LEAVES, takers)},
	{NULL, "  cameras to one of them, at most", "most_taken_of_node", PLAN_COUNT, PLAN_SIZE,
		EVENT(PLAN_NODE_LEAVES, most_taken)},
	{NULL, "mean load, a node dead", "mean_without_node", PLAN_FACTOR, PLAN_DOUBLE,
		EVENT(PLAN_NODE_LEAVES, mean)},
	{NULL, "busiest node, a node dead", "busiest_without_node", PLAN_FACTOR, PLAN_DOUBLE,
		EVENT(PLAN_NODE_LEAVES, busiest)},
	{NULL, "mean load, a rack dead", "mean_without_rack", PLAN_FACTOR, PLAN_DOUBLE,
		EVENT(PLAN_RACK_LEAVES, mean)},
	{NULL, "busiest node, a rack dead", "busiest_without_rack", PLAN_FACTOR, PLAN_DOUBLE,
		EVENT(PLAN_RACK_LEAVES, busiest)},
	{NULL, "  its network, of {net}", "busiest_net", PLAN_BITS, PLAN_DOUBLE, AT(worst.net)},
	{.label = NULL},
};

double plan_value(const struct plan_figure *f, const struct plan_column *c)
{
	const void *at = (const char *)c + f->offset;
	switch (f->type) {
	case PLAN_SIZE:
		return (double)*(const size_t *)at;
	case PLAN_U32:
		return *(const uint32_t *)at;
	case PLAN_ENUM:
		return *(const enum plan_limit *)at;
	default:
		return *(const double *)at;
	}
}

const char *plan_limit_word(enum plan_limit limit)
{
	static const char *const words[] = {
		[PLAN_BY_ROOM] = "room",
		[PLAN_BY_SEEKS] = "seeks",
		[PLAN_BY_CAMERAS] = "cameras",
		[PLAN_BY_NET] = "network",
		[PLAN_BY_CPU] = "cores",
	};
	return words[limit];
}

/* --- as people read them --- */

/* What stands for {word} in a label. */
static void word_text(const struct plan_report *r, const char *word, char to[PLAN_TEXT_MAX])
{
	const struct plan_site *s = &r->site;
	const char *text = NULL;
	if (strcmp(word, "bitrate") == 0)
		text = r->bitrate;
	else if (strcmp(word, "pool") == 0)
		text = r->pool;
	else if (strcmp(word, "spare") == 0)
		text = r->nodes_given ? "as asked" : s->racks > 1 ? "a rack spare" : "one spare";
	else if (strcmp(word, "by") == 0)
		text = plan_limit_word(r->columns[0].daemons.nodes_by);
	else if (strcmp(word, "gone") == 0)
		text = s->racks > 1 ? "a rack" : "a node";
	if (text)
		snprintf(to, PLAN_TEXT_MAX, "%s", text);
	else if (strcmp(word, "retention") == 0)
		snprintf(to, PLAN_TEXT_MAX, "%.4g days", s->retention_s / 86400);
	else if (strcmp(word, "disk") == 0)
		snprintf(to, PLAN_TEXT_MAX, "%.4g TB", s->disk_bytes / 1e12);
	else if (strcmp(word, "fill") == 0)
		snprintf(to, PLAN_TEXT_MAX, "%.0f %%", s->disk_fill * 100);
	else if (strcmp(word, "disks") == 0)
		snprintf(to, PLAN_TEXT_MAX, "%.0f", s->host_disks);
	else if (strcmp(word, "cpu") == 0)
		snprintf(to, PLAN_TEXT_MAX, "%.0f %%", s->cpu_fill * 100);
	else if (strcmp(word, "net") == 0)
		human_rate((uint64_t)s->node_net, to);
	else
		snprintf(to, PLAN_TEXT_MAX, "%.2f", s->cap);
}

void plan_label(const struct plan_report *r, const struct plan_figure *f, char to[PLAN_TEXT_MAX])
{
	size_t at = 0;
	for (const char *c = f->label; *c && at + 1 < PLAN_TEXT_MAX; c++) {
		char word[16], text[PLAN_TEXT_MAX];
		if (*c != '{') {
			to[at++] = *c;
			continue;
		}
		size_t len = strcspn(++c, "}");
		snprintf(word, sizeof(word), "%.*s", (int)len, c);
		word_text(r, word, text);
		for (const char *from = text; *from && at + 1 < PLAN_TEXT_MAX; from++)
			to[at++] = *from;
		c += len;
	}
	to[at] = '\0';
}

static void count_text(double n, char to[HUMAN_MAX])
{
	if (n >= 1e10)
		snprintf(to, HUMAN_MAX, "%.1f billion", n / 1e9);
	else
		human_count((uint64_t)ceil(n - 1e-6), to);
}

void plan_text(const struct plan_figure *f, const struct plan_column *c, char to[PLAN_TEXT_MAX])
{
	double v = plan_value(f, c), share = v / c->demand.cameras * 100;
	char n[HUMAN_MAX];
	switch (f->unit) {
	case PLAN_COUNT:
		count_text(v, to);
		break;
	case PLAN_CAMERAS:
		count_text(v, n);
		snprintf(to, PLAN_TEXT_MAX, share < 1 && v > 0 ? "%s (%.2f %%)" : "%s (%.1f %%)", n,
			share);
		break;
	case PLAN_BYTES:
		human_bytes((uint64_t)v, to);
		break;
	case PLAN_BITS:
		human_rate((uint64_t)v, to);
		break;
	case PLAN_SHARE:
		snprintf(to, PLAN_TEXT_MAX, "%.0f %%", v * 100);
		break;
	case PLAN_NUMBER:
		snprintf(to, PLAN_TEXT_MAX, v < 10 ? "%.2f" : "%.1f", v);
		break;
	case PLAN_FACTOR:
		snprintf(to, PLAN_TEXT_MAX, "%.3f", v);
		break;
	case PLAN_LIMIT:
		snprintf(to, PLAN_TEXT_MAX, "%s", plan_limit_word((enum plan_limit)v));
		break;
	}
}

/* --- notes --- */

static void note_small_writes(const struct plan_report *r, const struct plan_column *c, char to[])
{
	snprintf(to, PLAN_NOTE_MAX,
		"Each disk gets %.0f KiB of a write: hard disks journal up to 64 KiB, so bytes "
		"count twice, and a seek for every %.0f KiB keeps disks busy. A larger stripe "
		"(--stripe %uK, as stripe_unit of the pool's profile) makes fewer, larger writes.",
		c->store.write_bytes / 1024, c->store.write_bytes / 1024,
		r->site.pool.unit / 1024 * 4);
}

unsigned plan_notes(const struct plan_report *r, char notes[PLAN_NOTES_MAX][PLAN_NOTE_MAX])
{
	unsigned n = 0;
	const struct plan_column *last = &r->columns[r->count - 1];
	if (!r->site.pool.copies && last->store.write_bytes <= 65536)
		note_small_writes(r, last, notes[n++]);
	if (r->site.pool.copies && r->site.pool.copies < 3)
		snprintf(notes[n++], PLAN_NOTE_MAX,
			"With fewer than three copies a disk that fails leaves one, and min_size 2 "
			"stops writing there until it is made anew.");
	if (!last->sim.events[PLAN_NODE_LEAVES].nodes)
		snprintf(notes[n++], PLAN_NOTE_MAX,
			"With one node nobody takes over when it dies: recorders keep what they "
			"have in their spools until it is back.");
	if (last->worst.net > r->site.node_net)
		snprintf(notes[n++], PLAN_NOTE_MAX,
			"The busiest node's network is too small when a rack is gone: more nodes, "
			"more racks, or a faster --node-net.");
	if (last->worst.connections > 10000)
		snprintf(notes[n++], PLAN_NOTE_MAX,
			"A node has more connections than the 10,000 that limits.connections "
			"allows unless told otherwise: raise it, or add nodes.");
	return n;
}
