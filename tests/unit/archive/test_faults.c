/* SPDX-License-Identifier: Apache-2.0 */
/* One fault at a time, at every place: the nth write of a short life meets each outcome there is,
 * or the daemon dies right there; then another daemon takes the stream, and everything is held
 * against what was acknowledged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/archive/oracle.h"

#define STREAM "gate-7/main"

enum ending {
	GO_ON,     /* the same daemon goes on */
	KILL_SOON, /* it is killed while the outcome is unknown */
	STEAL,     /* another takes the stream meanwhile; the first lives on */
};

struct story {
	struct rig rig;
	struct rig_node *first, *last;
	struct recorder *live, *backfill;
	struct store_model_fault fault;
	uint64_t died_at; /* writes applied */
	uint64_t seen;
	struct sim_loop *victim;
};

/* A life with everything in it: two lanes, several chunks, midnight, a codec change. */
static void begin(struct story *s, const struct store_model_options *options)
{
	*s = (struct story){0};
	rig_start(&s->rig, 1, options);
	s->first = rig_node_start(&s->rig);
	s->live = rig_recorder(&s->rig, STREAM, LANE_LIVE, 0x51);
	s->live->footage.at.us +=
		US_PER_DAY - s->live->footage.at.us % US_PER_DAY - 7 * US_PER_SECOND;
	s->backfill = rig_recorder(&s->rig, STREAM, LANE_BACKFILL, 0x52);
	s->backfill->footage.at.us -= 5 * US_PER_DAY;
	recorder_go(s->live, s->first);
	recorder_go(s->backfill, s->first);
}

static void middle(struct story *s)
{
	rig_run_s(&s->rig, 9);
	if (s->live->made % 2 == 0) {
		s->live->footage.audio = true;
		recorder_change_init(s->live);
	}
	rig_run_s(&s->rig, 9);
}

static void end(struct story *s)
{
	if (!s->last)
		s->last = s->first;
	s->live->home = s->backfill->home = s->last;
	rig_run_s(&s->rig, 15);
	s->live->running = s->backfill->running = false;
	recorder_reconnect(s->live);
	recorder_reconnect(s->backfill);
	assert_true(recorder_wait_open(s->live, 100 * NS_PER_SECOND) &&
		    recorder_wait_open(s->backfill, 100 * NS_PER_SECOND));
	assert_true(recorder_drain(s->live, 100 * NS_PER_SECOND) &&
		    recorder_drain(s->backfill, 100 * NS_PER_SECOND));
	oracle_demand(&s->rig, STREAM);
	store_model_withdraw(&s->fault);
	rig_settle(&s->rig);
	rig_node_stop(s->last);
	oracle_demand_rest(&s->rig, STREAM);
	rig_end(&s->rig);
}

/* How many writes a life has when nothing goes wrong. */
static unsigned count_writes(void)
{
	struct story s;
	begin(&s, NULL);
	middle(&s);
	unsigned writes = (unsigned)(store_counters(s.first->store, STORE_META)->writes +
				     store_counters(s.first->store, STORE_DATA)->writes);
	end(&s);
	return writes;
}

static void run(unsigned nth, enum store_model_fate fate, enum ending ending)
{
	struct store_model_options options = {
		.unknown_after_ns = 3 * NS_PER_SECOND, .late_max_ns = 20 * NS_PER_SECOND};
	struct story s;
	begin(&s, &options);
	s.fault = (struct store_model_fault){
		.fate = fate, .skip = nth, .times = 1, .late_ns = 9 * NS_PER_SECOND};
	store_model_plan(s.rig.model, &s.fault);
	middle(&s);
	oracle_demand(&s.rig, STREAM);
	if (ending == KILL_SOON) {
		rig_node_kill(s.first);
		s.last = rig_node_start(&s.rig);
	} else if (ending == STEAL) {
		s.last = rig_node_start(&s.rig);
		recorder_hang_up(s.backfill, false);
	}
	end(&s);
}

static void test_each_write_meets_each_fate(void **state)
{
	(void)state;
	static const enum store_model_fate fates[] = {STORE_MODEL_UNKNOWN_APPLIED,
		STORE_MODEL_UNKNOWN_LOST, STORE_MODEL_UNKNOWN_LATE, STORE_MODEL_EIO,
		STORE_MODEL_ENOSPC};
	unsigned writes = count_writes();
	assert_true(writes > 40);
	for (size_t i = 0; i < ARRAY_LEN(fates); i++)
		for (unsigned nth = 0; nth < writes; nth++)
			run(nth, fates[i], GO_ON);
}

static void test_each_write_unknown_and_the_daemon_dies(void **state)
{
	(void)state;
	static const enum store_model_fate fates[] = {
		STORE_MODEL_UNKNOWN_APPLIED, STORE_MODEL_UNKNOWN_LATE};
	unsigned writes = count_writes();
	for (size_t i = 0; i < ARRAY_LEN(fates); i++)
		for (unsigned nth = 0; nth < writes; nth++) {
			run(nth, fates[i], KILL_SOON);
			run(nth, fates[i], STEAL);
		}
}

/* --- death at every step --- */

static bool has_died(void *user)
{
	struct story *s = user;
	return store_model_counters(s->rig.model).writes_applied >= s->died_at;
}

/* Killed right after the nth change, before it hears of it. */
static void die_after(unsigned nth)
{
	struct story s;
	begin(&s, NULL);
	s.died_at = nth;
	if (!sim_run_until(&s.rig.world, has_died, &s, 18 * NS_PER_SECOND)) {
		end(&s);
		return;
	}
	rig_node_kill(s.first);
	oracle_demand(&s.rig, STREAM);
	s.last = rig_node_start(&s.rig);
	end(&s);
}

static void test_death_after_each_change(void **state)
{
	(void)state;
	unsigned writes = count_writes();
	for (unsigned nth = 1; nth <= writes; nth++)
		die_after(nth);
}

/* The successor is killed too, at each step of its take and recovery. */
static void test_death_while_taking_over(void **state)
{
	(void)state;
	for (unsigned nth = 1; nth <= 40; nth++) {
		struct story s;
		begin(&s, NULL);
		middle(&s);
		rig_node_kill(s.first);
		struct rig_node *second = rig_node_start(&s.rig);
		s.live->home = s.backfill->home = second;
		s.died_at = store_model_counters(s.rig.model).writes_applied + nth;
		(void)sim_run_until(&s.rig.world, has_died, &s, 20 * NS_PER_SECOND);
		rig_node_kill(second);
		oracle_demand(&s.rig, STREAM);
		s.last = rig_node_start(&s.rig);
		end(&s);
	}
}

/* Stopped in the middle of everything: a zombie that comes back changes nothing. */
static void test_stopped_at_each_step_and_resumed(void **state)
{
	(void)state;
	unsigned writes = count_writes();
	for (unsigned nth = 1; nth <= writes; nth += 1) {
		struct story s;
		begin(&s, NULL);
		s.died_at = nth;
		(void)sim_run_until(&s.rig.world, has_died, &s, 18 * NS_PER_SECOND);
		rig_node_pause(s.first, true);
		s.last = rig_node_start(&s.rig);
		s.live->home = s.backfill->home = s.last;
		rig_run_s(&s.rig, 12);
		oracle_demand(&s.rig, STREAM);
		/* the new owner rests: whatever changes from here on, the zombie changed it */
		s.live->running = s.backfill->running = false;
		recorder_hang_up(s.live, false);
		recorder_hang_up(s.backfill, false);
		rig_run_s(&s.rig, 60);
		uint64_t applied = store_model_counters(s.rig.model).writes_applied;
		rig_node_pause(s.first, false);
		rig_run_s(&s.rig, 30);
		assert_true(store_model_counters(s.rig.model).writes_applied == applied);
		end(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_write_meets_each_fate),
		cmocka_unit_test(test_each_write_unknown_and_the_daemon_dies),
		cmocka_unit_test(test_death_after_each_change),
		cmocka_unit_test(test_death_while_taking_over),
		cmocka_unit_test(test_stopped_at_each_step_and_resumed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
