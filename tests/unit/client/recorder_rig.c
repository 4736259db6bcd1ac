/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/client/recorder_rig.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PICTURE 2000

struct sim_world world;
struct model_net *net;
struct fake_daemon one, two;
struct steppe_recorder *recorder;
char spool_dir[64];
int64_t shown;
unsigned refused_writes;
struct steppe_recorder_status last;
struct ledger_line ledger[LEDGER_MAX];
size_t ledger_count;
struct core core;

static struct sim_loop loop;
static struct worker *worker;
static bool closed;
static int closed_status;

static struct channel *dial(void *owner, const char *address, struct channel_user *user)
{
	(void)owner;
	static const struct model_party party = {
		.name = "recorder", .roles = ROLE_RECORDER, .boot_nonce = 5};
	return model_dial(net, &loop.loop, address, &party, user);
}

static void on_log(void *user, int level, const char *line)
{
	(void)user;
	printf("%9.3f [%d] %s\n", (double)(world.wall.us - START_US) / 1e6, level, line);
}

void begin(uint64_t seed, const char *const *addresses)
{
	static const char *const first[] = {"one:1", NULL};
	sim_world_init(&world, seed);
	world.wall.us = START_US;
	sim_loop_init(&loop, &world);
	net = model_net_new();
	assert_non_null(net);
	fake_start(&one, &world, net, "one");
	fake_start(&two, &world, net, "two");
	assert_int_equal(worker_new(&loop.loop, false, &worker), 0);
	const struct router_ops ops = {.dial = dial};
	assert_int_equal(
		core_init(&core, &loop.loop, &ops, addresses ? addresses : first, worker), 0);
	core.log = getenv("LOG") ? on_log : NULL;
	strcpy(spool_dir, access("/dev/shm", W_OK) == 0 ? "/dev/shm/steppe-rec-XXXXXX"
							: "/tmp/steppe-rec-XXXXXX");
	assert_non_null(mkdtemp(spool_dir));
	shown = 0;
	ledger_count = 0;
	refused_writes = 0;
	closed = false;
	last = (struct steppe_recorder_status){0};
}

static void on_core_stopped(struct loop_task *task)
{
	(void)task;
	closed = true;
}

static bool is_closed(void *user)
{
	(void)user;
	return closed;
}

void finish(void)
{
	char command[128];
	struct loop_task stopped = {.run = on_core_stopped};
	closed = false;
	core_stop(&core, &stopped);
	assert_true(sim_run_until(&world, is_closed, NULL, 60 * NS_PER_SECOND));
	core_fini(&core);
	worker_free(&worker);
	fake_stop(&one);
	fake_stop(&two);
	model_net_free(&net);
	sim_loop_fini(&loop);
	sim_world_fini(&world);
	snprintf(command, sizeof(command), "rm -rf %s", spool_dir);
	assert_int_equal(system(command), 0);
}

static void on_changed(void *user, const struct steppe_recorder_status *status)
{
	(void)user;
	last = *status;
}

static void on_durable(void *user, uint64_t session, uint64_t seq, int64_t capture_us,
	uint32_t duration_us, const uint8_t *digest)
{
	(void)user;
	(void)duration_us;
	assert_true(ledger_count < LEDGER_MAX);
	struct ledger_line *l = &ledger[ledger_count++];
	*l = (struct ledger_line){.session = session, .seq = seq, .capture_us = capture_us};
	memcpy(l->digest, digest, DIGEST_SIZE);
}

static const uint8_t avcc[] = {1, 66, 0, 30, 255, 225, 0, 4, 103, 66, 0, 30, 1, 0, 2, 104, 1};

struct steppe_track track(unsigned width)
{
	struct steppe_track t = STEPPE_INIT(steppe_track);
	t.codec = STEPPE_H264;
	t.timescale = 1000;
	t.width = (uint16_t)width;
	t.height = 48;
	t.config = avcc;
	t.config_len = sizeof(avcc);
	return t;
}

int try_record(bool spool, uint64_t memory, uint64_t limit)
{
	struct steppe_track t = track(64);
	struct steppe_recorder_options o = STEPPE_INIT(steppe_recorder_options);
	o.stream = "gate-7/main";
	o.tracks = &t;
	o.track_count = 1;
	o.spool_dir = spool ? spool_dir : NULL;
	o.memory_limit = memory;
	o.spool_limit = limit;
	o.changed = on_changed;
	o.durable = on_durable;
	int rc = recorder_new(&core, &o, &recorder);
	if (rc == 0)
		recorder_start(recorder);
	return rc;
}

void record(bool spool, uint64_t memory, uint64_t limit)
{
	assert_int_equal(try_record(spool, memory, limit), 0);
}

int show_picture(void)
{
	static uint8_t data[PICTURE];
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + (size_t)shown * 13);
	struct steppe_sample s = STEPPE_INIT(steppe_sample);
	s.data = data;
	s.len = sizeof(data);
	s.dts = s.pts = shown * 100;
	s.sync = shown % 20 == 0;
	s.wall_us = START_US + shown * 100000;
	s.clock = STEPPE_CLOCK_DECLARED;
	shown++;
	return steppe_recorder_write(recorder, &s);
}

void show(unsigned seconds)
{
	for (unsigned i = 0; i < seconds * 10; i++) {
		int rc = show_picture();
		refused_writes += rc == -EAGAIN;
		assert_true(rc == 0 || rc == -EAGAIN);
		sim_run_for(&world, 100 * NS_PER_MS);
	}
}

static void on_closed(void *user, int status)
{
	(void)user;
	closed = true;
	closed_status = status;
}

int end(int timeout_ms)
{
	closed = false;
	steppe_recorder_end(recorder, timeout_ms, on_closed, NULL);
	if (!sim_run_until(&world, is_closed, NULL, 1000 * NS_PER_SECOND))
		fail_msg("the recorder does not end (seed %llu)", (unsigned long long)world.seed);
	recorder = NULL;
	return closed_status;
}

void check_ledger(const struct fake_daemon *d)
{
	for (size_t i = 0; i < ledger_count; i++) {
		const struct fake_fragment *f = fake_find(d, ledger[i].capture_us);
		if (!f)
			fail_msg("seed %llu: acknowledged and not there: %lld",
				(unsigned long long)world.seed,
				(long long)(ledger[i].capture_us - START_US));
		uint8_t digest[DIGEST_SIZE];
		assert_int_equal(fragment_digest(&f->header, digest), 0);
		assert_int_equal(f->header.session, ledger[i].session);
		assert_int_equal(f->header.seq, ledger[i].seq);
		assert_memory_equal(digest, ledger[i].digest, DIGEST_SIZE);
	}
}

void check_told(const struct fake_daemon *d)
{
	for (size_t i = 0; i < ledger_count; i++)
		for (size_t j = 0; j < i; j++)
			if (ledger[i].session == ledger[j].session &&
				ledger[i].seq == ledger[j].seq)
				fail_msg("seed %llu: told of twice: %llu",
					(unsigned long long)world.seed,
					(unsigned long long)ledger[i].seq);
	if (ledger_count != fake_durable(d))
		fail_msg("seed %llu: told of %zu, there are %zu", (unsigned long long)world.seed,
			ledger_count, fake_durable(d));
}

void check_all(const struct fake_daemon *d)
{
	fake_check(d);
	check_ledger(d);
	check_told(d);
	assert_int_equal(ledger_count, (shown + 9) / 10);
	for (int64_t second = 0; second * 10 < shown; second++)
		if (!fake_find(d, START_US + second * 1000000))
			fail_msg("seed %llu: second %lld is missing",
				(unsigned long long)world.seed, (long long)second);
	assert_int_equal(fake_durable(d), (shown + 9) / 10);
}

void kill_recorder(void)
{
	struct steppe_recorder *r = recorder;
	sim_run_for(&world, 1); /* what the worker has in hand is written or not: it is written */
	exchange_stop(&r->exchange, false);
	loop_timer_stop(&r->pause);
	loop_timer_stop(&r->tick);
	loop_timer_stop(&r->deadline);
	call_end(&r->call);
	recorder_free(&r);
	recorder = NULL;
}
