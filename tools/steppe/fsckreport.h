/* SPDX-License-Identifier: Apache-2.0 */
/* What fsck finds, on its way to the terminal; and the ways of finding it. */
#pragma once

#include <pthread.h>

#include "client/steppe.h"
#include "tools/steppe/command.h"
#include "tools/steppe/json.h"
#include "tools/steppe/progress.h"

/* One is made by fsck_run; the thread that checks adds to it, until it ends or a signal ends it. */
struct fsckreport {
	pthread_mutex_t lock;
	const struct command_call *call;
	int level; /* 1..3 */
	bool rebuild;
	uint64_t streams, chunks, bytes, findings, repaired;
	uint64_t begun;
	uint64_t failed; /* streams that could not be checked */
	char doing[160]; /* of the progress line */
	struct json json;
	struct progress progress;
};

void fsckreport_begin(struct fsckreport *r);
void fsckreport_finding(
	struct fsckreport *r, const char *stream, const struct steppe_fsck_finding *finding);
/* Now this one, of so many. */
void fsckreport_stream(struct fsckreport *r, const char *stream, uint64_t of);
/* One more is checked. */
void fsckreport_checked(struct fsckreport *r, uint64_t chunks, uint64_t bytes);
/* This one cannot be: complained about. */
void fsckreport_failed(struct fsckreport *r, int error, const char *stream);
void fsckreport_progress(struct fsckreport *r, uint64_t bytes);
/* Prints the sum; without a verdict when `error` ended it early, which is complained about here,
 * too. */
enum exit_code fsckreport_end(struct fsckreport *r, int error, const char *what);

/* Checks one stream through the daemon that owns it; that stream of all registered cameras. Complain
 * by themselves. */
enum exit_code fsck_online(struct fsckreport *r, const char *stream);
enum exit_code fsck_all(struct fsckreport *r, const char *profile);
/* Checks streams of a store that no daemon has open, by its URL ("file:///srv/video"). `stream`
 * NULL: all. Complains by itself. */
enum exit_code fsck_offline(struct fsckreport *r, const char *url, const char *stream);
