/* SPDX-License-Identifier: Apache-2.0 */
/* What idle links cost in memory, and handshakes in processor time; both ends in one process and on
 * one thread, so half of each figure is one end's.
 *
 *	bench_links [LINKS] */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "proto/link.h"
#include "proto/pki.h"

#define AT_ONCE 32 /* dials under way */

static char dir[64];

struct bench {
	struct loop_uv loop;
	struct link_listener *listener;
	struct tls_identity *id, *dialing;
	struct channel_user dials, accepts;
	struct channel **links;
	unsigned wanted, dialed, ready, accepted, closed;
	bool closing;
};

static const char *path(const char *name)
{
	static char paths[4][128];
	static unsigned next;
	char *p = paths[next++ % 4];
	snprintf(p, sizeof(paths[0]), "%s/%s", dir, name);
	return p;
}

static double cpu_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Resident bytes, after the allocator has given back what is free. */
static double resident(void)
{
	long pages = 0, skipped;
	malloc_trim(0);
	FILE *in = fopen("/proc/self/statm", "r");
	CHECK(in && fscanf(in, "%ld %ld", &skipped, &pages) == 2);
	fclose(in);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static void dial(struct bench *b)
{
	static const struct link_hello hello = {.software = "bench"};
	static const struct link_options options = {.expect_roles = ROLE_NODE, .connect_ms = 60000};
	struct channel *ch = link_connect(&b->loop, link_listener_address(b->listener), b->dialing,
		&hello, &options, &b->dials);
	CHECK(ch != NULL);
	b->links[b->dialed++] = ch;
}

static void check_done(struct bench *b)
{
	if (!b->closing && b->ready == b->wanted && b->accepted == b->wanted)
		loop_uv_stop(&b->loop);
}

static void dial_ready(
	struct channel *ch, struct channel_user *user, const Steppe__Wire__Hello *peer)
{
	(void)ch;
	(void)peer;
	struct bench *b = container_of(user, struct bench, dials);
	b->ready++;
	if (b->dialed < b->wanted)
		dial(b);
	check_done(b);
}

static void accept_ready(
	struct channel *ch, struct channel_user *user, const Steppe__Wire__Hello *peer)
{
	(void)peer;
	struct bench *b = container_of(user, struct bench, accepts);
	b->accepted++;
	/* so that the ticket is read by the dialing side */
	CHECK(channel_send(ch, FRAME_STOP, 0, NULL, NULL, 0) == 0);
	check_done(b);
}

static void on_frame(struct channel *ch, struct channel_user *user, const struct frame *frame)
{
	(void)ch;
	(void)user;
	(void)frame;
}

static void on_drained(struct channel *ch, struct channel_user *user)
{
	(void)ch;
	(void)user;
}

static void count_closed(struct bench *b, int status, const char *words)
{
	if (!b->closing || status < 0) {
		fprintf(stderr, "bench_links: %s\n", words);
		exit(1);
	}
	if (++b->closed == 2 * b->wanted)
		loop_uv_stop(&b->loop);
}

static void dial_closed(
	struct channel *ch, struct channel_user *user, int status, const char *words)
{
	(void)ch;
	count_closed(container_of(user, struct bench, dials), status, words);
}

static void accept_closed(
	struct channel *ch, struct channel_user *user, int status, const char *words)
{
	(void)ch;
	count_closed(container_of(user, struct bench, accepts), status, words);
}

static struct channel_user *on_accepted(struct link_listener *l, void *owner, struct channel *ch)
{
	(void)l;
	(void)ch;
	return &((struct bench *)owner)->accepts;
}

/* Opens the links wanted; processor milliseconds a pair of handshakes. */
static double open_all(struct bench *b, unsigned at_once)
{
	double from_s = cpu_s();
	b->dialed = b->ready = b->accepted = b->closed = 0;
	b->closing = false;
	for (unsigned i = 0; i < at_once && i < b->wanted; i++)
		dial(b);
	loop_uv_run(&b->loop);
	return (cpu_s() - from_s) * 1000 / b->wanted;
}

static void close_all(struct bench *b)
{
	b->closing = true;
	for (unsigned i = 0; i < b->wanted; i++)
		channel_close(b->links[i]);
	loop_uv_run(&b->loop);
}

static void bench_init(struct bench *b, unsigned wanted)
{
	char why[256] = "";
	const struct pki_issue node = {.name = "node", .roles = ROLE_NODE};
	*b = (struct bench){.wanted = wanted,
		.dials = {.ready = dial_ready,
			.frame = on_frame,
			.drained = on_drained,
			.closed = dial_closed},
		.accepts = {.ready = accept_ready,
			.frame = on_frame,
			.drained = on_drained,
			.closed = accept_closed}};
	snprintf(dir, sizeof(dir), "/tmp/steppe-bench-XXXXXX");
	b->links = calloc(wanted, sizeof(struct channel *));
	CHECK(b->links && mkdtemp(dir) && loop_uv_init(&b->loop) == 0);
	CHECK(pki_init(dir, "bench", why, sizeof(why)) == 0 &&
		pki_issue(dir, &node, why, sizeof(why)) == 0);
	const struct tls_files files = {
		.ca = path("ca.crt"), .cert = path("node.crt"), .key = path("node.key")};
	CHECK(tls_identity_load(&files, &b->id, why, sizeof(why)) == 0);
	CHECK(tls_identity_load(&files, &b->dialing, why, sizeof(why)) == 0);
	struct link_listener_config config = {.id = b->id,
		.hello = {.software = "bench", .node = "node"},
		.options = {.connect_ms = 60000},
		.channels_max = 2 * wanted,
		.accepted = on_accepted,
		.owner = b};
	CHECK(link_listen(&b->loop, "127.0.0.1:0", &config, &b->listener, why, sizeof(why)) == 0);
}

int main(int argc, char **argv)
{
	static struct bench b;
	unsigned wanted = argc > 1 ? (unsigned)atoi(argv[1]) : 1000;
	struct rlimit files;
	CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
	files.rlim_cur = files.rlim_max;
	CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);
	if (!wanted || 2 * (rlim_t)wanted + 100 > files.rlim_cur) {
		fprintf(stderr, "usage: bench_links [LINKS], two descriptors each of %lu\n",
			(unsigned long)files.rlim_cur);
		return 2;
	}
	bench_init(&b, wanted);
	double before = resident();
	double full_ms = open_all(&b, AT_ONCE);
	double idle = (resident() - before) / wanted;
	close_all(&b);
	/* one at a time: a session is resumed once, and its successor comes with the next link */
	double resumed_ms = open_all(&b, 1);
	struct link_listener_counts counts = link_listener_counts(b.listener);
	close_all(&b);
	printf("{\"links\": %u, \"idle_bytes_per_pair\": %.0f, \"handshake_cpu_ms_per_pair\": "
	       "%.3f, "
	       "\"resumed_cpu_ms_per_pair\": %.3f, \"resumed\": %llu}\n",
		wanted, idle, full_ms, resumed_ms, (unsigned long long)counts.resumed);
	link_listener_free(&b.listener, NULL);
	loop_uv_fini(&b.loop);
	tls_identity_unref(&b.id);
	tls_identity_unref(&b.dialing);
	free(b.links);
	char command[96];
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command) == 0 ? 0 : 1;
}
