/* SPDX-License-Identifier: MIT */
/*
 * Line charts as inline SVG: axes, lines, dots and areas, nothing that asks for a script. Colours
 * and strokes are classes; the page's style sheet (style.h) says what they look like, so one drawing
 * serves light, dark and paper.
 */
#ifndef RCL_REPORT_CHART_H
#define RCL_REPORT_CHART_H

#include <stdint.h>
#include <stdio.h>

enum chart_scale {
	CHART_LINEAR,
	CHART_LOG,
	CHART_COUNTS, /* log(1 + v): counts that may be 0 */
};

struct chart_axis {
	enum chart_scale scale;
	double lo, hi;
};

struct chart {
	FILE *out;
	struct chart_axis x, y;
	const char *id;	   /* unique on the page */
	double last_label; /* height of the last label at the left edge */
};

#define CHART_TEXT 32

/* Text for people, escaped for HTML and SVG. */
void chart_text(FILE *out, const char *s);
/* "38.2 MiB". */
char *chart_size(uint64_t bytes, char buf[CHART_TEXT]);
/* The same to the last byte: limits are there to be copied. */
char *chart_limit(uint64_t bytes, char buf[CHART_TEXT]);
/* 12345 -> "12.3k". */
char *chart_count(double v, char buf[CHART_TEXT]);

/* The svg element, with what a screen reader says of it. */
void chart_begin(struct chart *c, const char *title, const char *desc);
void chart_end(struct chart *c);

/* Axes with ticks and grid lines; labels name what they measure. */
void chart_x_bytes(struct chart *c, const char *label);
void chart_x_share(struct chart *c, const char *label);
void chart_y_times(struct chart *c, const char *label);
void chart_y_counts(struct chart *c, const char *label);
void chart_y_bytes(struct chart *c, const char *label);

/* A polyline through what is finite; it breaks where it is not. */
void chart_line(struct chart *c, const char *class, const double *x, const double *y, uint32_t nr);
/* The same, filled down to the axis. */
void chart_area(struct chart *c, const char *class, const double *x, const double *y, uint32_t nr);
/* A mark with a text that shows when pointed at. Above the top: a cross at the top. */
void chart_dot(struct chart *c, const char *class, double x, double y, const char *text);
/* A line across, labelled at the left unless that would cover the last such label. */
void chart_level(struct chart *c, double y, const char *text);
/* The strip from x0 to x1. */
void chart_band(struct chart *c, double x0, double x1, const char *text);

#endif
