/* SPDX-License-Identifier: Apache-2.0 */
/* A plan, computed, and how it is shown: a table, JSON, a drawing. The three only write to a
 * stream, where errors show. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "tools/steppe/plan_model.h"
#include "tools/steppe/plan_sim.h"

#define PLAN_COLUMNS_MAX 4

struct plan_column {
	struct plan_demand demand;
	struct plan_store store;
	struct plan_daemons daemons;
	struct plan_node node; /* an ordinary one on an ordinary day */
	struct plan_node
		worst;         /* the busiest when a rack is gone, or a node if there is one rack */
	uint32_t nodes, racks; /* of the cluster that was simulated */
	struct plan_sim sim;
	double place_s, events_s; /* how long that took */
	size_t needless, by_cap;  /* sum and most of the events' */
	double node_cores_all;    /* of all nodes */
};

struct plan_report {
	struct plan_site site;
	struct plan_column columns[PLAN_COLUMNS_MAX];
	unsigned count;
	char pool[32], bitrate[32]; /* as asked for; of a mix, its mean */
	bool nodes_given;
};

/* --- the figures, of which table and JSON are made --- */

enum plan_unit {
	PLAN_COUNT,   /* whole, rounded up: "12,345" */
	PLAN_CAMERAS, /* the same, with the share of all cameras */
	PLAN_BYTES,
	PLAN_BITS, /* a second */
	PLAN_SHARE,
	PLAN_NUMBER, /* "2.31" */
	PLAN_FACTOR, /* "1.050" */
	PLAN_LIMIT,  /* enum plan_limit, in words */
};

struct plan_figure {
	const char *section; /* that begins with it, or NULL */
	const char *label;   /* {words} are filled in by plan_label */
	const char *key;     /* in JSON */
	enum plan_unit unit;
	enum { PLAN_DOUBLE, PLAN_SIZE, PLAN_U32, PLAN_ENUM } type;
	size_t offset; /* in struct plan_column */
};
extern const struct plan_figure plan_figures[]; /* ended by one without label */

double plan_value(const struct plan_figure *f, const struct plan_column *c);
/* Label and value as people read them. */
#define PLAN_TEXT_MAX 96
void plan_label(const struct plan_report *r, const struct plan_figure *f, char to[PLAN_TEXT_MAX]);
void plan_text(const struct plan_figure *f, const struct plan_column *c, char to[PLAN_TEXT_MAX]);
const char *plan_limit_word(enum plan_limit limit);

/* What must be known of a plan that its figures do not tell: a paragraph each. Gives how many. */
#define PLAN_NOTES_MAX 5
#define PLAN_NOTE_MAX  400
unsigned plan_notes(const struct plan_report *r, char notes[PLAN_NOTES_MAX][PLAN_NOTE_MAX]);

/* --- ways to show it --- */

/* -ENOMEM. */
int plan_print_table(const struct plan_report *r, FILE *to, bool colour);
void plan_print_json(const struct plan_report *r, FILE *to);
/* A self-contained SVG for light and dark pages. */
void plan_draw(const struct plan_report *r, FILE *to);
