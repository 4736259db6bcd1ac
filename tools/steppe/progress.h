/* SPDX-License-Identifier: Apache-2.0 */
/* One line that tells how far long work is, on standard error; nothing when that is no terminal or
 * the user wants quiet. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct progress {
	const char *what; /* "exporting" */
	uint64_t total;   /* 0: not known */
	bool shown;
	/* private */
	int64_t start_ns, last_ns;
};

void progress_start(struct progress *p, const char *what, uint64_t total_bytes, bool quiet);
/* So many bytes are done; draws at most five times a second. */
void progress_update(struct progress *p, uint64_t done_bytes);
/* Takes the line away. */
void progress_end(struct progress *p);
