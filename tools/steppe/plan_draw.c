/* SPDX-License-Identifier: Apache-2.0 */
/* A plan as a drawing: what must be bought, how even the nodes are, what moves, and what the others
 * carry when some are gone. A colour is a number of cameras throughout. */
#include <math.h>
#include <string.h>

#include "tools/steppe/chart.h"
#include "tools/steppe/human.h"
#include "tools/steppe/plan_report.h"

#define WIDTH  980u
#define HEIGHT 840u

#define LEFT   72.0
#define SECOND 572.0
#define FIELD  352.0
#define UPPER  168.0
#define LOWER  520.0
#define TALL   220.0

static void cameras_text(const struct plan_column *c, char to[HUMAN_MAX + 16])
{
	char n[HUMAN_MAX];
	human_count(c->demand.cameras, n);
	snprintf(to, HUMAN_MAX + 16, "%s cameras", n);
}

static void legend(const struct plan_report *r, FILE *to)
{
	double x = 28;
	for (unsigned i = 0; i < r->count; i++, x += 170) {
		char text[HUMAN_MAX + 16];
		cameras_text(&r->columns[i], text);
		chart_bar(to, (double[]){x, 79, 14, 14}, i, false);
		chart_text(to, x + 21, 91, CHART_START, "strong", text);
	}
}

static void title(const struct plan_report *r, FILE *to)
{
	char line[256], net[HUMAN_MAX], most[HUMAN_MAX];
	human_count((uint64_t)r->site.node_cameras, most);
	human_rate((uint64_t)r->site.node_net, net);
	chart_text(to, 28, 38, CHART_START, "title",
		"A cluster planned: what it takes, how it is shared");
	snprintf(line, sizeof(line),
		"%s a camera, kept %.4g days as %s; disks of %.4g TB, %.0f %% full; nodes with %s; "
		"at most %s cameras a node",
		r->bitrate, r->site.retention_s / 86400, r->pool, r->site.disk_bytes / 1e12,
		r->site.disk_fill * 100, net, most);
	chart_text(to, 28, 60, CHART_START, "soft", line);
}

/* --- what must be bought --- */

static void draw_bytes(const struct plan_report *r, FILE *to)
{
	struct chart c = {.to = to,
		.x = LEFT - 44,
		.y = UPPER,
		.width = FIELD + 44,
		.height = TALL,
		.lies = true};
	double most = 0;
	for (unsigned i = 0; i < r->count; i++)
		most = fmax(most, r->columns[i].store.raw_bytes);
	double scale = most >= 2e15 ? 1e15 : 1e12, row = c.height / r->count;
	chart_range(&c, 0, most / scale);
	chart_axes(&c, "Bytes on disks", "full: the footage; pale: copies or codes",
		scale > 1e12 ? "PB" : "TB", "");
	for (unsigned i = 0; i < r->count; i++) {
		const struct plan_store *s = &r->columns[i].store;
		char disks[HUMAN_MAX], hosts[HUMAN_MAX], nodes[HUMAN_MAX], text[160];
		double y = c.y + row * i, kept = chart_at(&c, s->bytes_kept / scale),
		       raw = chart_at(&c, s->raw_bytes / scale), thick = fmin(row - 36, 34);
		chart_bar(to, (double[]){c.x, y + 28, kept - c.x, thick}, i, false);
		chart_bar(to, (double[]){kept, y + 28, raw - kept, thick}, i, true);
		human_count((uint64_t)s->disks, disks);
		human_count((uint64_t)s->hosts, hosts);
		human_count(r->columns[i].nodes, nodes);
		snprintf(text, sizeof(text), "%s disks in %s hosts; %s nodes", disks, hosts, nodes);
		chart_text(to, c.x + 6, y + 21, CHART_START, "strong", text);
	}
}

/* --- how even --- */

static void draw_balance(const struct plan_report *r, FILE *to)
{
	struct chart c = {.to = to, .x = SECOND, .y = UPPER, .width = FIELD, .height = TALL};
	double low = 100, high = r->site.cap * 100;
	for (unsigned i = 0; i < r->count; i++) {
		const struct plan_column *p = &r->columns[i];
		low = fmin(low, p->sim.even_first[p->nodes - 1] * 100);
		high = fmax(high, p->sim.even_first[0] * 100);
	}
	chart_range(&c, low, high);
	chart_axes(&c, "Load of each node",
		"of the mean; dashed: by ranking alone, full: with the cap", "%",
		"nodes, from the busiest to the idlest");
	double cap = chart_at(&c, r->site.cap * 100);
	char text[64];
	chart_line(to, (double[]){c.x, cap}, (double[]){c.x + c.width, cap}, "limit");
	snprintf(text, sizeof(text), "cap %.4g %%", r->site.cap * 100);
	chart_text(to, c.x + c.width, cap - 5, CHART_END, "small", text);
	for (unsigned i = 0; i < r->count; i++) {
		const struct plan_column *p = &r->columns[i];
		double shares[PLACEMENT_NODES_MAX];
		for (int capped = 0; capped < 2; capped++) {
			for (uint32_t k = 0; k < p->nodes; k++)
				shares[k] = 100 * (capped ? p->sim.even[k] : p->sim.even_first[k]);
			chart_curve(&c, shares, p->nodes, i, !capped);
		}
	}
}

/* --- what moves --- */

static void draw_moves(const struct plan_report *r, FILE *to)
{
	static const char *const names[PLAN_EVENTS] = {
		"a node leaves", "a rack leaves", "a node joins", "a rack joins"};
	struct chart c = {.to = to, .x = LEFT, .y = LOWER, .width = FIELD, .height = TALL};
	double most = 0, group = c.width / PLAN_EVENTS, bar = (group - 14) / r->count;
	for (unsigned i = 0; i < r->count; i++)
		for (int k = 0; k < PLAN_EVENTS; k++)
			most = fmax(most, (double)r->columns[i].sim.events[k].moved * 100 /
						  r->columns[i].demand.cameras);
	size_t needless = 0;
	for (unsigned i = 0; i < r->count; i++)
		needless += r->columns[i].needless;
	char about[64];
	snprintf(about, sizeof(about), "of all; moved needlessly: %zu", needless);
	chart_range(&c, 0, most * 1.05);
	chart_axes(&c, "Cameras that move", about, "%", "");
	for (int k = 0; k < PLAN_EVENTS; k++) {
		double x = c.x + group * k + 7;
		chart_text(to, c.x + group * (k + 0.5), c.y + c.height + 18, CHART_MIDDLE, "small",
			names[k]);
		for (unsigned i = 0; i < r->count; i++) {
			const struct plan_column *p = &r->columns[i];
			double v = (double)p->sim.events[k].moved * 100 / p->demand.cameras;
			double top = chart_at(&c, v);
			char text[24];
			snprintf(text, sizeof(text), "%.1f", v);
			chart_bar(to,
				(double[]){x + bar * i + 1, top, bar - 2, c.y + c.height - top}, i,
				false);
			chart_text(to, x + bar * (i + 0.5), top - 5, CHART_MIDDLE, "small", text);
		}
	}
}

/* --- what the others carry --- */

struct stem {
	double mean, busiest;
};

static struct stem stem_of(const struct plan_column *c, int which)
{
	if (which == 0)
		return (struct stem){100, c->sim.busiest * 100};
	const struct plan_event *e =
		&c->sim.events[which == 1 ? PLAN_NODE_LEAVES : PLAN_RACK_LEAVES];
	return (struct stem){e->mean * 100, e->busiest * 100};
}

static void draw_takeover(const struct plan_report *r, FILE *to)
{
	static const char *const names[] = {"all are there", "a node is dead", "a rack is dead"};
	struct chart c = {.to = to, .x = SECOND, .y = LOWER, .width = FIELD, .height = TALL};
	double high = 100, group = c.width / 3, apart = (group - 8) / r->count;
	for (unsigned i = 0; i < r->count; i++)
		for (int k = 0; k < 3; k++)
			high = fmax(high, stem_of(&r->columns[i], k).busiest);
	chart_range(&c, 100, high + 1);
	chart_axes(&c, "Load when others take over",
		"of an ordinary day's mean; hollow: mean, full: the busiest node", "%", "");
	for (int k = 0; k < 3; k++) {
		chart_text(to, c.x + group * (k + 0.5), c.y + c.height + 18, CHART_MIDDLE, "small",
			names[k]);
		for (unsigned i = 0; i < r->count; i++) {
			struct stem s = stem_of(&r->columns[i], k);
			double x = c.x + group * k + 4 + apart * (i + 0.5);
			double mean = chart_at(&c, s.mean), busiest = chart_at(&c, s.busiest);
			char text[24], line[24];
			if (s.busiest <= 0)
				continue; /* nobody is left */
			snprintf(line, sizeof(line), "stem s%u", i);
			chart_line(to, (double[]){x, mean}, (double[]){x, busiest}, line);
			chart_dot(to, x, mean, i, true);
			chart_dot(to, x, busiest, i, false);
			snprintf(text, sizeof(text), "%.1f", s.busiest);
			chart_text(to, x, busiest - 9, CHART_MIDDLE, "small", text);
		}
	}
}

void plan_draw(const struct plan_report *r, FILE *to)
{
	chart_document(to, WIDTH, HEIGHT, "A cluster planned by steppe plan",
		"Four charts: bytes on disks; load of each node; cameras that move when nodes "
		"leave "
		"or join; load after a node or a rack died. steppe plan prints the figures.");
	title(r, to);
	legend(r, to);
	draw_bytes(r, to);
	draw_balance(r, to);
	draw_moves(r, to);
	draw_takeover(r, to);
	chart_text(to, 28, HEIGHT - 20, CHART_START, "small",
		"steppe plan; what is assumed and what was measured: docs/operate/planning.md");
	chart_end(to);
}
