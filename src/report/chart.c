/* SPDX-License-Identifier: MIT */
#include "report/chart.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "sim/size.h"

/* In units that are CSS pixels at the width the page gives a chart on a large screen. */
#define WIDTH  480.0
#define HEIGHT 320.0
#define LEFT   58.0
#define RIGHT  452.0
#define TOP    30.0
#define BOTTOM 270.0
#define LINE   15.0 /* height of a line of text */

void chart_text(FILE *out, const char *s)
{
	for (; *s; s++) {
		switch (*s) {
		case '&':
			fputs("&amp;", out);
			break;
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		default:
			/* Control characters have no business in a name. */
			fputc((unsigned char)*s < ' ' || *s == 127 ? ' ' : *s, out);
		}
	}
}

static char *with_unit(const char *text, char buf[CHART_TEXT])
{
	size_t len = strlen(text);

	if (len && text[len - 1] >= 'A')
		snprintf(buf, CHART_TEXT, "%.*s %ciB", (int)len - 1, text, text[len - 1]);
	else
		snprintf(buf, CHART_TEXT, "%s B", text);
	return buf;
}

char *chart_size(uint64_t bytes, char buf[CHART_TEXT])
{
	char text[RCL_SIZE_TEXT];

	return with_unit(rcl_size_format(bytes, text), buf);
}

char *chart_limit(uint64_t bytes, char buf[CHART_TEXT])
{
	char text[RCL_SIZE_TEXT];

	return with_unit(rcl_size_exact(bytes, text), buf);
}

char *chart_count(double v, char buf[CHART_TEXT])
{
	static const char *const units[] = {"", "k", "M", "G", "T", "P", "E"};
	unsigned int u = 0;

	if (v < 9999.5) {
		snprintf(buf, CHART_TEXT, "%.0f", v);
		return buf;
	}
	while (v >= 999.5 && u < 6) {
		v /= 1000;
		u++;
	}
	snprintf(buf, CHART_TEXT, "%.*f%s", v < 9.995 ? 2 : v < 99.95 ? 1 : 0, v, units[u]);
	return buf;
}

/* ---- Where things are ---------------------------------------------------------------------- */

static double place(const struct chart_axis *a, double v)
{
	switch (a->scale) {
	case CHART_LOG:
		return log(v / a->lo) / log(a->hi / a->lo);
	case CHART_COUNTS:
		return log1p(v) / log1p(a->hi);
	default:
		return (v - a->lo) / (a->hi - a->lo);
	}
}

static double at_x(const struct chart *c, double v)
{
	return LEFT + place(&c->x, v) * (RIGHT - LEFT);
}

static double at_y(const struct chart *c, double v)
{
	return BOTTOM - place(&c->y, v) * (BOTTOM - TOP);
}

/* The largest of 1, 2, 5 times a power of `base` that cuts the range into `parts` or more. */
static double nice_step(double range, double parts, double base)
{
	double step = pow(base, floor(log(range / parts) / log(base)));
	static const double factors[] = {1,  2,	 4,  5,	  8,   10,  16,	 20,
					 32, 50, 64, 100, 128, 200, 256, 512};
	double best = step;

	for (size_t i = 0; i < sizeof(factors) / sizeof(factors[0]); i++)
		if (factors[i] < base &&
		    (base > 10 || factors[i] == 1 || factors[i] == 2 || factors[i] == 5) &&
		    range / (step * factors[i]) >= parts)
			best = step * factors[i];
	return best;
}

/* ---- The frame ----------------------------------------------------------------------------- */

void chart_begin(struct chart *c, const char *title, const char *desc)
{
	c->last_label = INFINITY;
	fprintf(c->out,
		"<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-labelledby=\"%s-t %s-d\">\n"
		"<title id=\"%s-t\">",
		WIDTH, HEIGHT, c->id, c->id, c->id);
	chart_text(c->out, title);
	fprintf(c->out, "</title>\n<desc id=\"%s-d\">", c->id);
	chart_text(c->out, desc);
	fprintf(c->out,
		"</desc>\n<clipPath id=\"%s-c\"><rect x=\"%.0f\" y=\"%.0f\" width=\"%.0f\" "
		"height=\"%.0f\"/></clipPath>\n",
		c->id, LEFT, TOP - 4, RIGHT - LEFT + 4, BOTTOM - TOP + 8);
}

void chart_end(struct chart *c)
{
	fputs("</svg>\n", c->out);
}

static void text_at(struct chart *c, double x, double y, const char *anchor, const char *class,
		    const char *text)
{
	fprintf(c->out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" class=\"%s\">", x, y,
		anchor, class);
	chart_text(c->out, text);
	fputs("</text>\n", c->out);
}

static void x_tick(struct chart *c, double v, const char *text)
{
	double x = at_x(c, v);

	fprintf(c->out, "<path class=\"tick\" d=\"M%.1f %.0fv5\"/>\n", x, BOTTOM);
	text_at(c, x, BOTTOM + 5 + LINE, "middle", "n", text);
}

static void y_tick(struct chart *c, double v, const char *text)
{
	double y = at_y(c, v);

	fprintf(c->out, "<path class=\"grid\" d=\"M%.0f %.1fH%.0f\"/>\n", LEFT, y, RIGHT);
	text_at(c, LEFT - 7, y + 4.5, "end", "n", text);
}

static void x_axis(struct chart *c, const char *label)
{
	fprintf(c->out, "<path class=\"axis\" d=\"M%.0f %.0fH%.0f\"/>\n", LEFT, BOTTOM, RIGHT);
	text_at(c, (LEFT + RIGHT) / 2, HEIGHT - 8, "middle", "l", label);
}

static void y_axis(struct chart *c, const char *label)
{
	text_at(c, 4, TOP - 15, "start", "l", label);
}

void chart_x_bytes(struct chart *c, const char *label)
{
	double step = nice_step(c->x.hi - c->x.lo, 4, 1024);
	char text[CHART_TEXT];

	for (double v = ceil(c->x.lo / step) * step; v <= c->x.hi * 1.0001; v += step)
		x_tick(c, v, v > 0 ? chart_size((uint64_t)v, text) : "0");
	x_axis(c, label);
}

void chart_x_share(struct chart *c, const char *label)
{
	char text[CHART_TEXT];

	for (int i = 0; i <= 4; i++) {
		snprintf(text, sizeof(text), "%d%%", 25 * i);
		x_tick(c, c->x.lo + (c->x.hi - c->x.lo) * i / 4, text);
	}
	x_axis(c, label);
}

void chart_y_times(struct chart *c, const char *label)
{
	static const double steps[] = {1,  1.5, 2,    3,   5,	8,   10, 20,
				       50, 100, 1000, 1e4, 1e5, 1e6, 1e7};
	double last = INFINITY;
	char text[CHART_TEXT];

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (steps[i] < c->y.lo || steps[i] > c->y.hi * 1.0001 ||
		    last - at_y(c, steps[i]) < LINE + 2)
			continue;
		last = at_y(c, steps[i]);
		snprintf(text, sizeof(text), "%.4g\u00d7", steps[i]);
		y_tick(c, steps[i], text);
	}
	y_axis(c, label);
}

void chart_y_counts(struct chart *c, const char *label)
{
	double last = at_y(c, 0);
	char text[CHART_TEXT];

	y_tick(c, 0, "0");
	for (double v = 1; v <= c->y.hi * 1.0001; v *= 10) {
		if (last - at_y(c, v) < LINE + 4)
			continue;
		last = at_y(c, v);
		if (v < 1e4)
			snprintf(text, sizeof(text), "%.0f", v);
		else
			snprintf(text, sizeof(text), "%.0f%s",
				 v < 1e6   ? v / 1e3
				 : v < 1e9 ? v / 1e6
					   : v / 1e9,
				 v < 1e6   ? "k"
				 : v < 1e9 ? "M"
					   : "G");
		y_tick(c, v, text);
	}
	y_axis(c, label);
}

void chart_y_bytes(struct chart *c, const char *label)
{
	double step = nice_step(c->y.hi, 3, 1024);
	char text[CHART_TEXT];

	for (double v = 0; v <= c->y.hi * 1.0001; v += step)
		y_tick(c, v, v > 0 ? chart_size((uint64_t)v, text) : "0");
	y_axis(c, label);
}

/* ---- What is in it ------------------------------------------------------------------------- */

void chart_line(struct chart *c, const char *class, const double *x, const double *y, uint32_t nr)
{
	bool pen = false;

	fprintf(c->out, "<path class=\"%s\" clip-path=\"url(#%s-c)\" d=\"", class, c->id);
	for (uint32_t i = 0; i < nr; i++) {
		if (!isfinite(y[i])) {
			pen = false;
			continue;
		}
		fprintf(c->out, "%c%.1f %.1f", pen ? 'L' : 'M', at_x(c, x[i]), at_y(c, y[i]));
		pen = true;
	}
	fputs("\"/>\n", c->out);
}

void chart_area(struct chart *c, const char *class, const double *x, const double *y, uint32_t nr)
{
	if (!nr)
		return;
	fprintf(c->out, "<path class=\"%s\" d=\"M%.1f %.1f", class, at_x(c, x[0]), BOTTOM);
	for (uint32_t i = 0; i < nr; i++)
		fprintf(c->out, "L%.1f %.1f", at_x(c, x[i]), at_y(c, y[i]));
	fprintf(c->out, "L%.1f %.1fZ\"/>\n", at_x(c, x[nr - 1]), BOTTOM);
}

void chart_dot(struct chart *c, const char *class, double x, double y, const char *text)
{
	double px = at_x(c, x);

	if (!isfinite(y) || y > c->y.hi)
		fprintf(c->out, "<path class=\"%s\" d=\"M%.1f %.1fl6 6m0 -6l-6 6\">", class, px - 3,
			TOP - 3);
	else
		fprintf(c->out, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\">", class, px,
			at_y(c, y));
	fputs("<title>", c->out);
	chart_text(c->out, text);
	fprintf(c->out, "</title></%s>\n", !isfinite(y) || y > c->y.hi ? "path" : "circle");
}

void chart_level(struct chart *c, double v, const char *text)
{
	double y = at_y(c, v);

	if (v > c->y.hi || v < c->y.lo)
		return;
	fprintf(c->out, "<path class=\"level\" d=\"M%.0f %.1fH%.0f\"/>\n", LEFT, y, RIGHT);
	if (fabs(c->last_label - y) < LINE)
		return;
	c->last_label = y;
	text_at(c, LEFT + 5, y - 4, "start", "v", text);
}

void chart_band(struct chart *c, double x0, double x1, const char *text)
{
	double a = at_x(c, x0), b = at_x(c, x1);

	fprintf(c->out,
		"<rect class=\"band\" x=\"%.1f\" y=\"%.0f\" width=\"%.1f\" height=\"%.0f\"/>\n", a,
		TOP, b - a, BOTTOM - TOP);
	if (b - a > 7 * (double)strlen(text))
		text_at(c, (a + b) / 2, (TOP + BOTTOM) / 2, "middle", "l", text);
}
