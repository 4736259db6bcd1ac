/* SPDX-License-Identifier: Apache-2.0 */
/* A tiny daemon over real TLS, on a thread of its own: acknowledges recordings, answers a few
 * questions, serves one made-up chunk as a snapshot. For tests of handles, threads and clips; the
 * strict one is fake_daemon.h. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/table.h"

struct tiny_daemon;

/* Certificates (a node's, a recorder's "good", a foreign one "foreign") in a new folder; a daemon
 * that listens on a free port. */
struct tiny_daemon *tiny_start(void);
/* Another one with the same footage and certificates, which lie with the first. */
struct tiny_daemon *tiny_start_second(const struct tiny_daemon *first);
void tiny_stop(struct tiny_daemon **d);
const char *tiny_address(const struct tiny_daemon *d);
/* FOLDER/NAME, static storage. */
const char *tiny_file(const struct tiny_daemon *d, const char *name);

/* What it does; any thread. */
struct tiny_script {
	atomic_int refuse;         /* every question with this */
	atomic_bool mute;          /* answers nothing */
	atomic_int lost_snapshots; /* so many READs are refused: no such snapshot */
	atomic_bool other_footage; /* snapshots are of other fragments from now on */
	atomic_bool damage;        /* READs answer with a byte changed */
	atomic_int appended;       /* fragments it took */
	atomic_uint snapshots;     /* it gave; of others it knows nothing */
};
struct tiny_script *tiny_script(struct tiny_daemon *d);
/* The fragments of its chunk, a second each, from MADE_START_US. */
#define TINY_FRAGMENTS 20
