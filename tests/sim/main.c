/* SPDX-License-Identifier: Apache-2.0 */
/* Runs seeds of the simulator, many in as many processes as there is room for, and sums up. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/faults.h"
#include "tests/sim/world.h"

#define BATCH    20 /* seeds a process runs before another takes over: killed daemons leave memory */
#define JOBS_MAX 64

struct arguments {
	struct world_options options;
	uint64_t first, count; /* count 0: as the time allows */
	int64_t seconds;       /* 0: no limit */
	unsigned jobs;
	bool one, twice, quiet;
	const char *list; /* a file of seeds to be run */
};

/* What a process of seeds tells, in memory shared with it. */
struct report {
	uint64_t seed; /* being run */
	uint64_t runs;
	struct world_result sum; /* its problem: of `seed` */
};

static const char usage[] = "Usage: sim [--seed N [--steps M] [--trace] [--twice]] | [--first N] "
			    "[--count N] [--for SECONDS]\n"
			    "           [--jobs N] [--quiet] | --seed-list FILE [--quiet]\n"
			    "  --seed N     that one run; --trace tells all that happens, --twice "
			    "demands the same again\n"
			    "  --count N    seeds N, N+1 ... from --first (1); --for: at most so "
			    "long, --count at least if\n"
			    "               both are given\n";

static int64_t now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static void add(struct world_result *sum, const struct world_result *r)
{
	for (unsigned i = 0; i < COUNTS; i++)
		sum->counts[i] += r->counts[i];
	for (unsigned i = 0; i < FAULT_KINDS; i++)
		sum->faults[i] += r->faults[i];
}

static void print_sum(const struct world_result *sum, uint64_t runs, int64_t seconds)
{
	printf("%" PRIu64 " runs in %" PRId64 " s\n", runs, seconds);
	for (unsigned i = 0; i < COUNTS; i++)
		printf("%14" PRIu64 "  %s\n", sum->counts[i], world_count_names[i]);
	printf("faults:\n");
	for (unsigned i = 0; faults_name(i); i++)
		printf("%14" PRIu64 "  %s\n", sum->faults[i], faults_name(i));
}

/* --- one seed --- */

static int run_one(const struct arguments *a)
{
	struct world_result r, again;
	world_run(&a->options, &r);
	if (r.problem[0]) {
		fprintf(stderr, "seed %" PRIu64 ": %s\n", a->options.seed, r.problem);
		return 1;
	}
	if (a->twice) {
		world_run(&a->options, &again);
		if (again.digest != r.digest) {
			fprintf(stderr, "seed %" PRIu64 " runs otherwise a second time\n",
				a->options.seed);
			return 1;
		}
	}
	if (!a->quiet) {
		print_sum(&r, 1, 0);
		printf("digest %016" PRIx64 "\n", r.digest);
	}
	return 0;
}

static int run_list(const struct arguments *a)
{
	char line[256];
	int failed = 0;
	FILE *f = fopen(a->list, "r");
	if (!f) {
		perror(a->list);
		return 2;
	}
	while (fgets(line, sizeof(line), f)) {
		struct arguments one = *a;
		one.options.seed = strtoull(line, NULL, 10);
		if (one.options.seed)
			failed |= run_one(&one);
	}
	fclose(f);
	return failed;
}

/* --- many --- */

struct job {
	pid_t pid; /* 0: none */
	struct report *report;
};

struct pool {
	const struct arguments *arguments;
	struct job jobs[JOBS_MAX];
	uint64_t next, runs;
	struct world_result sum;
	int64_t began_s;
	unsigned failed;
};

static void run_batch(
	const struct arguments *a, struct report *report, uint64_t first, uint64_t count)
{
	for (uint64_t seed = first; seed < first + count; seed++) {
		struct world_options options = a->options;
		struct world_result r;
		options.seed = seed;
		report->seed = seed;
		world_run(&options, &r);
		add(&report->sum, &r);
		report->runs++;
		if (r.problem[0]) {
			memcpy(report->sum.problem, r.problem, sizeof(r.problem));
			_exit(1);
		}
	}
	_exit(0);
}

static bool has_more(const struct pool *p)
{
	const struct arguments *a = p->arguments;
	uint64_t begun = p->next - a->first;
	bool in_time = a->seconds && now_s() - p->began_s < a->seconds;
	return !p->failed && (in_time || begun < a->count);
}

static bool start_job(struct pool *p, struct job *job)
{
	const struct arguments *a = p->arguments;
	uint64_t begun = p->next - a->first, count = BATCH;
	if (!a->seconds && a->count - begun < count)
		count = a->count - begun;
	*job->report = (struct report){0};
	fflush(NULL);
	job->pid = fork();
	if (job->pid < 0)
		return false;
	if (job->pid == 0)
		run_batch(a, job->report, p->next, count);
	p->next += count;
	return true;
}

static void end_job(struct pool *p, struct job *job, int status)
{
	const struct report *r = job->report;
	job->pid = 0;
	p->runs += r->runs;
	add(&p->sum, &r->sum);
	if (status == 0)
		return;
	p->failed++;
	fprintf(stderr, "seed %" PRIu64 ": %s\n", r->seed,
		r->sum.problem[0] ? r->sum.problem : "the process ended of itself (see above)");
}

static int run_many(const struct arguments *a)
{
	struct pool p = {.arguments = a, .next = a->first, .began_s = now_s()};
	struct report *reports = mmap(NULL, a->jobs * sizeof(*reports), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (reports == MAP_FAILED)
		return 2;
	for (unsigned i = 0; i < a->jobs; i++)
		p.jobs[i].report = &reports[i];
	for (;;) {
		unsigned busy = 0;
		for (unsigned i = 0; i < a->jobs; i++) {
			struct job *job = &p.jobs[i];
			if (!job->pid && has_more(&p) && !start_job(&p, job)) {
				perror("fork");
				return 2;
			}
			busy += job->pid != 0;
		}
		if (!busy)
			break;
		int status;
		pid_t pid = wait(&status);
		for (unsigned i = 0; i < a->jobs; i++)
			if (pid > 0 && p.jobs[i].pid == pid)
				end_job(&p, &p.jobs[i], status);
	}
	if (!a->quiet)
		print_sum(&p.sum, p.runs, now_s() - p.began_s);
	return p.failed ? 1 : 0;
}

static bool parse(int argc, char **argv, struct arguments *a)
{
	static const struct option options[] = {{"seed", required_argument, NULL, 's'},
		{"steps", required_argument, NULL, 'm'}, {"trace", no_argument, NULL, 't'},
		{"twice", no_argument, NULL, '2'}, {"first", required_argument, NULL, 'f'},
		{"count", required_argument, NULL, 'n'}, {"for", required_argument, NULL, 'd'},
		{"jobs", required_argument, NULL, 'j'}, {"quiet", no_argument, NULL, 'q'},
		{"seed-list", required_argument, NULL, 'l'}, {0}};
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		uint64_t value = optarg ? strtoull(optarg, NULL, 10) : 0;
		switch (c) {
		case 's':
			a->options.seed = value;
			a->one = true;
			break;
		case 'm':
			a->options.steps = (unsigned)value;
			break;
		case 't':
			a->options.trace = true;
			break;
		case '2':
			a->twice = true;
			break;
		case 'f':
			a->first = value;
			break;
		case 'n':
			a->count = value;
			break;
		case 'd':
			a->seconds = (int64_t)value;
			break;
		case 'j':
			a->jobs = (unsigned)value;
			break;
		case 'l':
			a->list = optarg;
			break;
		case 'q':
			a->quiet = true;
			break;
		default:
			return false;
		}
	}
	if (!a->count && !a->seconds)
		a->count = 100;
	return optind == argc && a->jobs >= 1 && a->jobs <= JOBS_MAX;
}

int main(int argc, char **argv)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	struct arguments a = {.first = 1,
		.jobs = processors > 0 && processors < JOBS_MAX ? (unsigned)processors : 1};
	if (!parse(argc, argv, &a)) {
		fputs(usage, stderr);
		return 2;
	}
	return a.list ? run_list(&a) : a.one ? run_one(&a) : run_many(&a);
}
