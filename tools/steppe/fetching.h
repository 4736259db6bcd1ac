/* SPDX-License-Identifier: Apache-2.0 */
/* A fetch whose fragments are handled on the calling thread, however slow that is: libsteppe's
 * thread only copies them into a queue of a few megabytes and pauses the fetch while that is full. */
#pragma once

#include "client/steppe.h"
#include "tools/steppe/command.h"

struct fetching {
	/* Each fragment, in order, on the calling thread; false ends the fetch. */
	bool (*fragment)(struct fetching *f, const struct steppe_fragment *fragment);
	/* read: */
	uint64_t fragments, bytes;
	char refusal_reason[160];
	int refusal;
};

/* Runs it to its end, stop_asked(), or fragment() returning false (both end with 0). 0 or a
 * negative code; of STEPPE_E_REFUSED, `refusal` tells which. */
int fetching_run(
	struct fetching *f, struct steppe *steppe, const struct steppe_fetch_options *options);
/* Complains about what fetching_run returned. */
enum exit_code fetching_complain(
	const struct fetching *f, const struct command_call *call, int error, const char *doing);
