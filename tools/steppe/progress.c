/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/steppe/progress.h"

#include <time.h>

#include "tools/steppe/human.h"
#include "tools/steppe/term.h"

static int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS_PER_SECOND + t.tv_nsec;
}

void progress_start(struct progress *p, const char *what, uint64_t total_bytes, bool quiet)
{
	*p = (struct progress){.what = what,
		.total = total_bytes,
		.shown = !quiet && term_is_tty(stderr),
		.start_ns = now_ns()};
}

void progress_update(struct progress *p, uint64_t done)
{
	int64_t now = now_ns();
	if (!p->shown || now - p->last_ns < NS_PER_SECOND / 5)
		return;
	p->last_ns = now;
	char bytes[HUMAN_MAX], total[HUMAN_MAX], rate[HUMAN_MAX], left[HUMAN_MAX];
	double seconds = (double)(now - p->start_ns) / 1e9;
	double per_second = seconds > 0 ? (double)done / seconds : 0;
	human_bytes(done, bytes);
	human_bytes(p->total, total);
	human_bytes((uint64_t)per_second, rate);
	term_clear_line(stderr);
	fprintf(stderr, "%s  ", p->what);
	if (p->total > 0)
		fprintf(stderr, "%3.0f %%  %s of %s", (double)done * 100 / (double)p->total, bytes,
			total);
	else
		fprintf(stderr, "%s", bytes);
	fprintf(stderr, "  %s/s", rate);
	if (p->total > done && per_second > 0 && seconds > 1) {
		human_clock((int64_t)((double)(p->total - done) / per_second * 1e6), left);
		fprintf(stderr, "  %s left", left);
	}
	fflush(stderr);
}

void progress_end(struct progress *p)
{
	if (p->shown)
		term_clear_line(stderr);
	p->shown = false;
}
