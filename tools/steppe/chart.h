/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of a chart in SVG: a document that is readable on light and dark pages, a frame with axes,
 * marks in up to four colours. Writes to a stream, where errors show. Pure otherwise. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#define CHART_COLOURS 4

struct chart {
	FILE *to;
	double x, y, width, height; /* of the field inside the axes, in pixels */
	double low, high;           /* of the values on the value axis */
	bool lies;                  /* values run to the right instead of up */
};

/* `title` is what a screen reader says first, `about` what it says then. */
void chart_document(
	FILE *to, unsigned width, unsigned height, const char *title, const char *about);
void chart_end(FILE *to);

/* Sets low and high to round numbers that hold both values, at most five steps apart. */
void chart_range(struct chart *c, double low, double high);
/* Heading, axis lines, steps with their numbers and `unit` ("%", "PB"), and what the axes are. */
void chart_axes(const struct chart *c, const char *heading, const char *values, const char *unit,
	const char *other);

/* Where a value stands, in pixels. */
double chart_at(const struct chart *c, double value);

enum chart_anchor { CHART_START, CHART_MIDDLE, CHART_END };
/* `style`: a class of the document, as "small" or "strong". */
void chart_text(FILE *to, double x, double y, enum chart_anchor anchor, const char *style,
	const char *text);
void chart_bar(FILE *to, const double box[4], unsigned colour, bool pale);
void chart_dot(FILE *to, double x, double y, unsigned colour, bool hollow);
void chart_line(FILE *to, const double from[2], const double to_point[2], const char *style);
/* A line through `count` values, evenly spaced over the field's width. */
void chart_curve(
	const struct chart *c, const double *values, unsigned count, unsigned colour, bool dashed);
