/* SPDX-License-Identifier: Apache-2.0 */
/* An export under way: what the command was asked for, and the manifest it fills. Two ways to fill
 * the files: a clip (MP4, exact to the frame), and Matroska (from the sync picture at or before the
 * window's begin). */
#pragma once

#include "tools/steppe/cluster.h"
#include "tools/steppe/manifest.h"

struct exporting {
	const struct command_call *call;
	struct cluster cluster;
	char stream[CLUSTER_STREAM_MAX];
	const char *path;
	bool force, close_gaps;
	const char *purpose, *case_id;
	struct wall from, to;
	struct manifest manifest;
	uint64_t bytes, frames;
};

/* Both complain by themselves. */
enum exit_code export_clip(struct exporting *e);
enum exit_code export_mkv(struct exporting *e);
/* "clip.mp4: No space left on device", with what to do. */
enum exit_code export_file_failed(const struct exporting *e, const char *path, int error);
/* The name of a file without its directories. */
const char *export_plain_name(const char *path);
