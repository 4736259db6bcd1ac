/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/steppe/chart.h"

#include <math.h>
#include <stdint.h>

/* Colours are told apart by people who see few; text has at least 4.5 : 1 on either page. */
static const char style[] =
	"<style>\n"
	"svg{--page:#fff;--ink:#1f2933;--soft:#52606d;--grid:#d9dee4;"
	"--c0:#1d6fb8;--c1:#c2590c;--c2:#0b7a5e;--c3:#8a3ffc;"
	"font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif;"
	"font-size:13px}\n"
	"@media (prefers-color-scheme:dark){svg{--page:#12171d;--ink:#e6ebf0;--soft:#a3b1bf;"
	"--grid:#303a45;--c0:#6cb4f5;--c1:#f2a35e;--c2:#4fcfa9;--c3:#c4a3ff}}\n"
	".page{fill:var(--page)}text{fill:var(--ink)}.soft{fill:var(--soft)}"
	".small{fill:var(--soft);font-size:12px}.strong{font-weight:600}"
	".heading{font-weight:600;font-size:15px}.title{font-weight:600;font-size:20px}\n"
	".grid{stroke:var(--grid)}.axis{stroke:var(--soft)}"
	".limit{stroke:var(--soft);stroke-dasharray:2 4;stroke-width:1.5}\n"
	".f0{fill:var(--c0)}.f1{fill:var(--c1)}.f2{fill:var(--c2)}.f3{fill:var(--c3)}"
	".pale{fill-opacity:.38}\n"
	".s0{stroke:var(--c0)}.s1{stroke:var(--c1)}.s2{stroke:var(--c2)}.s3{stroke:var(--c3)}"
	".curve{fill:none;stroke-width:2}.dashed{stroke-width:1.5;stroke-dasharray:5 3}"
	".hollow{fill:var(--page);stroke-width:2}.stem{stroke-width:3}\n"
	"</style>\n";

static void escaped(FILE *to, const char *text)
{
	for (; *text; text++) {
		if (*text == '&')
			fputs("&amp;", to);
		else if (*text == '<')
			fputs("&lt;", to);
		else
			fputc(*text, to);
	}
}

void chart_document(FILE *to, unsigned width, unsigned height, const char *title, const char *about)
{
	fprintf(to,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %u %u\" width=\"%u\" "
		"height=\"%u\" role=\"img\" aria-labelledby=\"t a\">\n<title id=\"t\">",
		width, height, width, height);
	escaped(to, title);
	fputs("</title>\n<desc id=\"a\">", to);
	escaped(to, about);
	fprintf(to, "</desc>\n%s<rect class=\"page\" width=\"%u\" height=\"%u\"/>\n", style, width,
		height);
}

void chart_end(FILE *to)
{
	fputs("</svg>\n", to);
}

static double step_of(double span)
{
	double step = pow(10, floor(log10(span / 5)));
	for (int i = 0; span / step > 5.001; i++)
		step *= i % 3 == 1 ? 2.5 : 2; /* 1, 2, 5, 10 */
	return step;
}

void chart_range(struct chart *c, double low, double high)
{
	if (!(high > low))
		high = low + 1;
	double step = step_of(high - low);
	c->low = floor(low / step + 1e-9) * step;
	c->high = ceil(high / step - 1e-9) * step;
}

double chart_at(const struct chart *c, double value)
{
	double part = (value - c->low) / (c->high - c->low);
	return c->lies ? c->x + part * c->width : c->y + (1 - part) * c->height;
}

void chart_text(FILE *to, double x, double y, enum chart_anchor anchor, const char *style_class,
	const char *text)
{
	static const char *const anchors[] = {"start", "middle", "end"};
	fprintf(to, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" class=\"%s\">", x, y,
		anchors[anchor], style_class);
	escaped(to, text);
	fputs("</text>\n", to);
}

void chart_line(FILE *to, const double from[2], const double to_point[2], const char *style_class)
{
	fprintf(to, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"%s\"/>\n",
		from[0], from[1], to_point[0], to_point[1], style_class);
}

void chart_bar(FILE *to, const double box[4], unsigned colour, bool pale)
{
	fprintf(to,
		"<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" class=\"f%u%s\"/>\n",
		box[0], box[1], fmax(box[2], 0), fmax(box[3], 0), colour, pale ? " pale" : "");
}

void chart_dot(FILE *to, double x, double y, unsigned colour, bool hollow)
{
	fprintf(to, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5\" class=\"%s%u\"/>\n", x, y,
		hollow ? "hollow s" : "f", colour);
}

void chart_curve(
	const struct chart *c, const double *values, unsigned count, unsigned colour, bool dashed)
{
	fprintf(c->to, "<polyline class=\"curve s%u%s\" points=\"", colour,
		dashed ? " dashed" : "");
	/* no more points than can be seen */
	unsigned points = count > 200 ? 200 : count;
	for (unsigned i = 0; i < points; i++) {
		unsigned at = points > 1 ? (unsigned)((uint64_t)i * (count - 1) / (points - 1)) : 0;
		double x = c->x + (points > 1 ? c->width * i / (points - 1) : c->width / 2);
		fprintf(c->to, "%.1f,%.1f ", x, chart_at(c, values[at]));
	}
	fputs("\"/>\n", c->to);
}

void chart_axes(const struct chart *c, const char *heading, const char *values, const char *unit,
	const char *other)
{
	FILE *to = c->to;
	double bottom = c->y + c->height, right = c->x + c->width;
	double step = step_of(c->high - c->low);
	chart_text(to, c->x - (c->lies ? 0 : 44), c->y - 34, CHART_START, "heading", heading);
	chart_text(to, c->x - (c->lies ? 0 : 44), c->y - 14, CHART_START, "small", values);
	for (double v = c->low; v <= c->high + step / 2; v += step) {
		char number[48];
		double at = chart_at(c, v);
		snprintf(number, sizeof(number), "%.10g%s%s", fabs(v) < step / 1e6 ? 0 : v,
			unit[0] ? " " : "", unit);
		if (c->lies) {
			chart_line(to, (double[]){at, c->y}, (double[]){at, bottom}, "grid");
			chart_text(to, at, bottom + 18, CHART_MIDDLE, "small", number);
		} else {
			chart_line(to, (double[]){c->x, at}, (double[]){right, at}, "grid");
			chart_text(to, c->x - 8, at + 4, CHART_END, "small", number);
		}
	}
	if (c->lies)
		chart_line(to, (double[]){c->x, c->y}, (double[]){c->x, bottom}, "axis");
	else
		chart_line(to, (double[]){c->x, bottom}, (double[]){right, bottom}, "axis");
	if (other[0])
		chart_text(to, c->x + c->width / 2, bottom + 38, CHART_MIDDLE, "small", other);
}
