/* SPDX-License-Identifier: Apache-2.0 */
/* A recorder on virtual time, a film to show to it, two strict daemons ("one" and "two") and a
 * ledger of what was acknowledged. One at a time, in the variables below. */
#pragma once

#include "client/recorder.h"
#include "tests/unit/client/fake_daemon.h"

#define START_US   INT64_C(1795470000000000)
#define LEDGER_MAX 4096

struct ledger_line {
	uint64_t session, seq;
	int64_t capture_us;
	uint8_t digest[DIGEST_SIZE];
};

extern struct sim_world world;
extern struct model_net *net;
extern struct core core;
extern struct fake_daemon one, two;
extern struct steppe_recorder *recorder; /* the one that is shown pictures */
extern char spool_dir[64];
extern int64_t shown; /* pictures */
extern unsigned refused_writes;
extern struct steppe_recorder_status last; /* that the program was told */
extern struct ledger_line ledger[LEDGER_MAX];
extern size_t ledger_count;

/* A world with its seed. `addresses`: NULL is one:1 alone. */
void begin(uint64_t seed, const char *const *addresses);
/* Ends it; what was left open is closed. */
void finish(void);

struct steppe_track track(unsigned width);
/* Begins to record; `memory` and `limit` (of the spool) 0: as by default. */
int try_record(bool spool, uint64_t memory, uint64_t limit);
void record(bool spool, uint64_t memory, uint64_t limit);
/* Ten pictures a second, a sync one every two seconds. */
int show_picture(void);
void show(unsigned seconds);
/* Ends the recorder; what it says. */
int end(int timeout_ms);
/* The program dies: nothing is told to anybody, memory is gone. */
void kill_recorder(void);

/* What was acknowledged is there once and unchanged. */
void check_ledger(const struct fake_daemon *d);
/* What is there was acknowledged, once. */
void check_told(const struct fake_daemon *d);
/* All seconds up to now are there, and acknowledged. */
void check_all(const struct fake_daemon *d);
