/* SPDX-License-Identifier: Apache-2.0 */
/* The manifest beside an export: what was asked for, which files hold it, what is missing and why,
 * how the times are known, and the digest of every fragment as the recorder made it.
 * docs/operate/evidence.md gives its members. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/clock.h"
#include "client/steppe.h"

#define MANIFEST_FORMAT    "steppe-manifest/1"
#define MANIFEST_FILES_MAX 256

struct manifest_file {
	char name[256]; /* beside the manifest */
	uint64_t bytes;
	uint8_t sha256[32];
	uint64_t pictures; /* 0: not counted */
};

struct manifest_fragment {
	char chunk[256];
	uint64_t session, seq;
	int64_t capture_us;
	uint32_t duration_us, clock_error_us;
	int clock; /* enum steppe_clock */
	uint8_t digest[32];
};

struct manifest {
	char stream[128];
	char kind[8]; /* "mp4" or "mkv" */
	char software[64], purpose[256], case_id[128];
	bool close_gaps;
	int64_t made_us, from_us, to_us, start_us, end_us;
	struct manifest_file *files;
	size_t file_count;
	struct steppe_gap_span *gaps;
	size_t gap_count;
	struct manifest_fragment *fragments;
	size_t fragment_count;
	uint8_t chain[32]; /* SHA-256 over the fragments' digests in order */
};

void manifest_fini(struct manifest *m);
/* Each -ENOMEM or 0. */
int manifest_add_file(struct manifest *m, const struct manifest_file *file);
int manifest_add_gap(struct manifest *m, const struct steppe_gap_span *gap);
int manifest_add_fragment(struct manifest *m, const struct manifest_fragment *fragment);
/* Sets the chain from the fragments. */
int manifest_seal(struct manifest *m);
/* Writes it; errors show at ferror(to). */
void manifest_write(const struct manifest *m, FILE *to);
/* Reads one: 0, STEPPE_E_FORMAT with words ("line 3: ..."), -ENOMEM. The chain is as written, not
 * as computed. */
int manifest_read(struct manifest *m, const char *text, size_t len, char *why, size_t why_size);

/* "receipt", "rtcp", "declared", "camera", "ntp". */
const char *manifest_clock_word(int clock);
