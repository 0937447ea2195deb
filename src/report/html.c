/* SPDX-License-Identifier: MIT */
#include "report/report.h"

void rcl_report_html(const struct rcl_report *r, FILE *out)
{
	fprintf(out, "<!doctype html><title>%s</title>\n", r->trace);
}
