/* SPDX-License-Identifier: Apache-2.0 */
/* steppe plan: what so many cameras need, and how they would be placed. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/steppe/complain.h"
#include "tools/steppe/human.h"
#include "tools/steppe/outfile.h"
#include "tools/steppe/plan_loads.h"
#include "tools/steppe/plan_report.h"
#include "tools/steppe/term.h"

#define CAMERAS_MOST 5000000u

struct plan_args {
	struct option_list cameras, bitrate, weights;
	uint32_t spread, seed, racks;
	const char *nodes, *pool, *svg;
	int64_t retention_us;
	uint64_t stripe, disk, disk_rate, node_net;
	uint32_t disk_fill, disk_busy, host_disks, node_cores, node_cameras, net_fill, cpu_fill;
	uint32_t viewing, recorder_cameras;
	double disk_seek_ms, storaged_cpu, osd_cpu, cap;
};

#define O(name, kind, value, initial, member, help)                                                \
	{                                                                                          \
		name, 0, kind, value, initial, NULL, offsetof(struct plan_args, member), help      \
	}

static const struct option plan_options[] = {
	{"cameras", 'n', OPTION_LIST, "N,...", "165000,400000,700000", NULL,
		offsetof(struct plan_args, cameras), "how many cameras; up to four plans at once"},
	{"bitrate", 'b', OPTION_LIST, "BITS,...", "4M", NULL, offsetof(struct plan_args, bitrate),
		"of a camera; or a mix, as 2M:3,4M:6,8M:1 for three, six and one of ten"},
	O("spread", OPTION_COUNT, "PERCENT", "0", spread,
		"how much cameras of one kind differ, as standard deviation"),
	O("seed", OPTION_COUNT, "N", "1", seed, "which cameras get which rate"),
	{"retention", 'r', OPTION_DURATION, "TIME", "30d", NULL,
		offsetof(struct plan_args, retention_us), "how long footage is kept"},
	{"pool", 'p', OPTION_STRING, "KIND", "replicated:3", NULL, offsetof(struct plan_args, pool),
		"replicated:COPIES or ec:K+M"},
	O("stripe", OPTION_SIZE, "BYTES", "4K", stripe, "stripe unit of an erasure-coded pool"),
	O("viewing", OPTION_COUNT, "PERCENT", "10", viewing,
		"footage that is read, of what comes in"),
	O("nodes", OPTION_STRING, "N", "auto", nodes,
		"nodes with storaged; auto: enough with a rack gone"),
	O("racks", OPTION_COUNT, "N", "20", racks, "that the nodes stand in"),
	{"weights", 'w', OPTION_LIST, "W,...", "1", NULL, offsetof(struct plan_args, weights),
		"of the nodes in turn, as 1,1,2.5; an ordinary node is 1"},
	O("cap", OPTION_DECIMAL, "FACTOR", "1.05", cap,
		"most that a node carries, of its fair share"),
	O("node-cameras", OPTION_COUNT, "N", "2000", node_cameras, "most that a node is to own"),
	O("node-net", OPTION_RATE, "BITS", "25G", node_net, "a node's network, each way"),
	O("node-cores", OPTION_COUNT, "N", "16", node_cores, "a node's cores"),
	O("net-fill", OPTION_COUNT, "PERCENT", "60", net_fill, "how full networks may be"),
	O("cpu-fill", OPTION_COUNT, "PERCENT", "60", cpu_fill, "how busy cores may be"),
	O("recorder-cameras", OPTION_COUNT, "N", "100", recorder_cameras,
		"cameras that one recorder takes in"),
	O("disk", OPTION_VOLUME, "BYTES", "18T", disk, "a disk's size"),
	O("disk-fill", OPTION_COUNT, "PERCENT", "80", disk_fill, "how full disks may be"),
	O("disk-busy", OPTION_COUNT, "PERCENT", "50", disk_busy, "how busy disks may be"),
	O("disk-seek", OPTION_DECIMAL, "MS", "12", disk_seek_ms,
		"milliseconds a disk takes before it writes or reads"),
	O("disk-rate", OPTION_VOLUME, "BYTES", "150M", disk_rate,
		"bytes a second it then writes or reads"),
	O("host-disks", OPTION_COUNT, "N", "36", host_disks, "disks in a host"),
	O("storaged-cpu", OPTION_DECIMAL, "S", "1.4", storaged_cpu,
		"CPU seconds of storaged for a GB in or out"),
	O("osd-cpu", OPTION_DECIMAL, "S", "4.9", osd_cpu,
		"CPU seconds of all OSDs for a GB in, three copies, writes of 1 MiB"),
	{"svg", 'o', OPTION_FILE, "FILE", NULL, NULL, offsetof(struct plan_args, svg),
		"also write a drawing; - is standard output, and then nothing else goes there"},
	{.name = NULL},
};

#define WEIGHTS_MAX OPTION_LIST_MAX

/* The command line, understood. */
struct plan {
	const struct command_call *call;
	const struct plan_args *args;
	struct plan_report report;
	struct plan_mix mix;
	uint32_t cameras[PLAN_COLUMNS_MAX];
	uint32_t weights[WEIGHTS_MAX];
	uint32_t weight_count, nodes; /* 0: as many as are needed */
};

static enum exit_code wrong(
	const struct plan *p, const char *option, const char *text, const char *expected)
{
	complainf(p->call, NULL, "--%s: \"%.60s\" is not %s", option, text, expected);
	return ENDED_USAGE;
}

static bool parse_number(const char *text, uint32_t least, uint32_t most, uint32_t *ret_n)
{
	uint64_t n;
	if (option_parse_rate(text, &n) || n < least || n > most)
		return false;
	*ret_n = (uint32_t)n;
	return true;
}

static enum exit_code read_lists(struct plan *p)
{
	const struct plan_args *a = p->args;
	/* what holds when nothing is given is one text */
	char initial[64] = "";
	struct option_list cameras = a->cameras;
	if (cameras.is_initial) {
		snprintf(initial, sizeof(initial), "%s", cameras.items[0]);
		cameras.count = 0;
		for (char *rest = initial, *item; (item = strsep(&rest, ","));)
			cameras.items[cameras.count++] = item;
	}
	if (cameras.count > PLAN_COLUMNS_MAX)
		return wrong(p, "cameras", cameras.items[PLAN_COLUMNS_MAX], "one of four at most");
	for (unsigned i = 0; i < cameras.count; i++)
		if (!parse_number(cameras.items[i], 1, CAMERAS_MOST, &p->cameras[i]))
			return wrong(
				p, "cameras", cameras.items[i], "a number from 1 to 5,000,000");
	p->report.count = cameras.count;
	for (unsigned i = 0; i < a->weights.count; i++) {
		char *end;
		double w = strtod(a->weights.items[i], &end);
		if (*end || !(w >= 0.001 && w <= 1000))
			return wrong(
				p, "weights", a->weights.items[i], "a weight from 0.001 to 1000");
		p->weights[i] = (uint32_t)lround(w * PLACEMENT_WEIGHT_ONE);
	}
	p->weight_count = a->weights.count;
	return ENDED_OK;
}

static enum exit_code read_texts(struct plan *p)
{
	const struct plan_args *a = p->args;
	struct plan_report *r = &p->report;
	const char *bad = "";
	p->mix.spread = a->spread;
	if (plan_mix_parse(a->bitrate.items, &p->mix, &bad))
		return wrong(
			p, "bitrate", bad, "a bit rate such as 4M, or a mix such as 2M:3,4M:7");
	r->site.pool.unit = (uint32_t)a->stripe;
	if (plan_pool_parse(a->pool, &r->site.pool))
		return wrong(p, "pool", a->pool, "replicated:COPIES or ec:K+M");
	if (strcmp(a->nodes, "auto") != 0 &&
		!parse_number(a->nodes, 1, PLACEMENT_NODES_MAX / 2, &p->nodes))
		return wrong(p, "nodes", a->nodes, "auto or a number from 1 to 2,048");
	r->nodes_given = p->nodes > 0;
	if (r->site.pool.copies)
		snprintf(r->pool, sizeof(r->pool), "%u cop%s", r->site.pool.copies,
			r->site.pool.copies == 1 ? "y" : "ies");
	else
		snprintf(r->pool, sizeof(r->pool), "%u+%u coded", r->site.pool.k, r->site.pool.m);
	return ENDED_OK;
}

/* Shares and sizes that arithmetic can go on with. */
static enum exit_code check_ranges(const struct plan *p)
{
	const struct plan_args *a = p->args;
	const struct {
		const char *name;
		double value, least, most;
	} ranges[] = {
		{"spread", a->spread, 0, 100},
		{"retention", (double)a->retention_us, 60e6, 36525 * 86400e6},
		{"stripe", (double)a->stripe, 4096, 4 << 20},
		{"viewing", a->viewing, 0, 1000},
		{"racks", a->racks, 1, 999},
		{"cap", a->cap, 1.001, 10},
		{"node-cameras", a->node_cameras, 1, 1e6},
		{"node-net", (double)a->node_net, 1e6, 1e13},
		{"node-cores", a->node_cores, 1, 4096},
		{"net-fill", a->net_fill, 1, 100},
		{"cpu-fill", a->cpu_fill, 1, 100},
		{"recorder-cameras", a->recorder_cameras, 1, 1e6},
		{"disk", (double)a->disk, 1e9, 1e15},
		{"disk-fill", a->disk_fill, 1, 100},
		{"disk-busy", a->disk_busy, 1, 100},
		{"disk-seek", a->disk_seek_ms, 0, 1000},
		{"disk-rate", (double)a->disk_rate, 1e5, 1e12},
		{"host-disks", a->host_disks, 1, 1000},
		{"storaged-cpu", a->storaged_cpu, 0, 1000},
		{"osd-cpu", a->osd_cpu, 0, 1000},
	};
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		if (ranges[i].value >= ranges[i].least && ranges[i].value <= ranges[i].most)
			continue;
		complainf(p->call, NULL, "--%s is out of the range that can be planned with",
			ranges[i].name);
		return ENDED_USAGE;
	}
	return ENDED_OK;
}

static void fill_site(struct plan *p)
{
	const struct plan_args *a = p->args;
	struct plan_pool pool = p->report.site.pool;
	p->report.site = (struct plan_site){.pool = pool,
		.retention_s = (double)a->retention_us / 1e6,
		.viewing = a->viewing / 100.0,
		.disk_bytes = (double)a->disk,
		.disk_fill = a->disk_fill / 100.0,
		.disk_busy = a->disk_busy / 100.0,
		.disk_seek_s = a->disk_seek_ms / 1000,
		.disk_rate = (double)a->disk_rate,
		.host_disks = a->host_disks,
		.node_net = (double)a->node_net,
		.node_cores = a->node_cores,
		.node_cameras = a->node_cameras,
		.net_fill = a->net_fill / 100.0,
		.cpu_fill = a->cpu_fill / 100.0,
		.recorder_cameras = a->recorder_cameras,
		.storaged_cpu = a->storaged_cpu,
		.osd_cpu = a->osd_cpu,
		.cap = a->cap,
		.racks = a->racks};
}

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Places the cameras and sees what moves. */
static int simulate(struct plan *p, struct plan_column *c, const struct placement_load *loads)
{
	double mean_weight = 0;
	for (uint32_t i = 0; i < p->weight_count; i++)
		mean_weight += (double)p->weights[i] / PLACEMENT_WEIGHT_ONE / p->weight_count;
	double wanted = p->nodes ? p->nodes : ceil(c->daemons.nodes / mean_weight);
	if (wanted > PLACEMENT_NODES_MAX / 2)
		return -E2BIG;
	c->nodes = (uint32_t)wanted;
	c->racks = p->report.site.racks < c->nodes ? p->report.site.racks : c->nodes;
	const struct plan_cluster cluster = {.nodes = c->nodes,
		.racks = c->racks,
		.weights = p->weights,
		.weight_count = p->weight_count,
		.cap_permille = (unsigned)lround(p->report.site.cap * 1000)};
	double start = seconds();
	int rc = plan_sim_init(&c->sim, &cluster, loads, c->demand.cameras);
	if (rc)
		return rc;
	c->place_s = seconds() - start;
	rc = plan_sim_events(&c->sim);
	c->events_s = seconds() - start - c->place_s;
	return rc;
}

static void name_rate(struct plan *p, uint64_t mean)
{
	char rate[HUMAN_MAX];
	bool differ = p->mix.count > 1 || p->mix.spread > 0;
	human_rate(mean, rate);
	snprintf(p->report.bitrate, sizeof(p->report.bitrate), "%s%.20s", differ ? "mean " : "",
		rate);
}

static int plan_one(struct plan *p, struct plan_column *c, uint32_t cameras)
{
	const struct plan_site *s = &p->report.site;
	struct placement_load *loads = NULL;
	uint64_t kbps = 0;
	int rc = plan_loads_make(&p->mix, p->args->seed, cameras, &loads, &kbps);
	if (rc)
		return rc;
	c->demand = (struct plan_demand){.cameras = cameras, .bits = (double)kbps * 1000};
	name_rate(p, kbps * 1000 / cameras);
	plan_store_needs(s, &c->demand, &c->store);
	plan_daemon_needs(s, &c->demand, &c->daemons);
	rc = simulate(p, c, loads);
	free(loads);
	if (rc)
		return rc;
	const struct plan_event *e = &c->sim.events[PLAN_RACK_LEAVES];
	if (!e->nodes)
		e = &c->sim.events[PLAN_NODE_LEAVES];
	double share = e->nodes ? e->busiest : c->sim.busiest;
	plan_node_needs(s, &c->demand, c->nodes, c->sim.units, 1, &c->node);
	plan_node_needs(s, &c->demand, c->nodes, c->sim.units, share, &c->worst);
	c->node_cores_all = c->node.cores * c->sim.units;
	for (int i = 0; i < PLAN_EVENTS; i++) {
		c->needless += c->sim.events[i].needless;
		if (c->sim.events[i].by_cap > c->by_cap)
			c->by_cap = c->sim.events[i].by_cap;
	}
	return 0;
}

static int draw(const struct plan *p)
{
	char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);
	if (!to)
		return -ENOMEM;
	plan_draw(&p->report, to);
	bool failed = ferror(to) != 0;
	failed |= fclose(to) != 0;
	struct outfile out = {.fd = -1};
	int rc = failed ? -ENOMEM : outfile_open(&out, p->args->svg, true);
	if (!rc) {
		rc = outfile_write(&out, text, len);
		rc = rc ? rc : outfile_commit(&out);
		outfile_drop(&out);
	}
	free(text);
	return rc;
}

static enum exit_code show(const struct plan *p)
{
	const char *svg = p->args->svg;
	int rc = 0;
	if (svg && (rc = draw(p)) != 0)
		return complain_of(p->call, rc, svg);
	if (svg && strcmp(svg, "-") == 0)
		return ENDED_OK;
	if (p->call->json)
		plan_print_json(&p->report, stdout);
	else
		rc = plan_print_table(&p->report, stdout, term_has_colour(stdout));
	return rc ? complain_of(p->call, rc, "the table") : ENDED_OK;
}

static enum exit_code plan_run(struct command_call *call, const void *args)
{
	struct plan p = {.call = call, .args = args};
	enum exit_code code = check_ranges(&p);
	code = code ? code : read_lists(&p);
	code = code ? code : read_texts(&p);
	if (code)
		return code;
	fill_site(&p);
	int rc = 0;
	for (unsigned i = 0; i < p.report.count && !rc; i++)
		rc = plan_one(&p, &p.report.columns[i], p.cameras[i]);
	if (rc == -E2BIG)
		complain(call, "that takes more than 2,048 nodes in one cluster",
			"more than one cluster, or larger nodes (--node-cameras, --node-net)");
	else if (rc)
		complain_of(call, rc, "the plan");
	code = rc ? ENDED_FAILURE : show(&p);
	for (unsigned i = 0; i < p.report.count; i++)
		plan_sim_fini(&p.report.columns[i].sim);
	return code;
}

const struct command command_plan = {
	.name = "plan",
	.words = "",
	.brief = "what so many cameras need, and how they would be placed",
	.about =
		"Sizes a cluster and simulates it: disks, hosts, nodes, cores, network, memory and "
		"connections; how evenly cameras are spread, with the code that spreads real "
		"ones; what moves when a node or a rack leaves or joins; what the others carry "
		"after one died. Asks no cluster anything.\n\n"
		"Hosts hold the disks and run Ceph's OSDs, nodes run storaged. They may be the "
		"same machines; their needs add up then. The assumptions, and which of them were "
		"measured, are in docs/operate/planning.md; each has an option here.",
	.examples = "# the province: three sizes side by side, and a drawing\nsteppe plan --svg "
		    "plan.svg\n# a county of 10,000 cameras of three kinds on an erasure-coded "
		    "pool\nsteppe plan --cameras 10000 --bitrate 2M:5,4M:4,8M:1 --spread 30 --pool "
		    "ec:8+3 --stripe 16K --retention 90d --racks 4\n# what 40 nodes, a third of "
		    "them twice as large, would carry\nsteppe plan --cameras 60000 --nodes 40 "
		    "--weights 1,1,2 --json",
	.options = plan_options,
	.args_size = sizeof(struct plan_args),
	.uses = USES_JSON,
	.run = plan_run,
};
