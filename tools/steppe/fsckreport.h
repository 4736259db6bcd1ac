/* SPDX-License-Identifier: Apache-2.0 */
/* What fsck finds, on its way to the terminal; and the offline way of finding it. */
#pragma once

#include "client/steppe.h"
#include "tools/steppe/command.h"
#include "tools/steppe/json.h"
#include "tools/steppe/progress.h"

struct fsckreport {
	const struct command_call *call;
	int level; /* 1..3 */
	bool rebuild;
	uint64_t streams, chunks, bytes, findings, repaired;
	struct json json;
	struct progress progress;
};

void fsckreport_begin(struct fsckreport *r);
void fsckreport_finding(
	struct fsckreport *r, const char *stream, const struct steppe_fsck_finding *finding);
void fsckreport_progress(struct fsckreport *r, uint64_t bytes);
/* Prints the sum; without a verdict when `error` ended it early, which is complained about here,
 * too. */
enum exit_code fsckreport_end(struct fsckreport *r, int error, const char *what);

/* Checks streams of a store that no daemon has open, by its URL ("file:///srv/video"). `stream`
 * NULL: all. Complains by itself. */
enum exit_code fsck_offline(struct fsckreport *r, const char *url, const char *stream);
