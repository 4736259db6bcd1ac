/* SPDX-License-Identifier: Apache-2.0 */
/* Lays a window of a stream out as progressive MP4 files: which bytes of which chunks, in which
 * order, under which head. Pure: works on tables alone, reads no media. docs/design/client.md,
 * "Clips".
 *
 * Media bytes are chunk bytes as they are, from the steppe-frag box before the first fragment of a
 * range to the end of the last one; what is between samples is unreferenced. Pictures that must be
 * decoded but not shown are cut by the edit list; a gap is the last picture before it, held; audio
 * and metadata follow the master track's time. */
#pragma once

#include "client/clip_steps.h"

/* The steppe-frag box before a fragment's body: its size, and where in it the fragment's header
 * lies (docs/format/chunk.md). */
#define CLIP_FRAG_BOX    184u
#define CLIP_FRAG_HEADER 24u

/* One fragment's bytes in a file, up to the next one's. */
struct clip_part {
	uint32_t source, fragment;
	uint64_t at;     /* from the file's first media byte */
	uint64_t offset; /* in the chunk */
	uint32_t len;    /* boxes after the fragment included */
};

struct clip_file {
	struct buf *head;
	struct clip_part *parts;
	size_t part_count;
	uint64_t media_bytes;
};

struct clip_layout {
	struct clip_file *files;
	size_t file_count;
	int64_t start_us, end_us; /* of what is shown */
	uint64_t frames;          /* shown, of the master track */
};

/* Builds the layout. 0; -ENODATA: the window shows nothing; ERR_FORMAT: tables that do not go with
 * their init segments; ERR_LIMIT; -ENOMEM. A codec change begins another file, and so does a gap
 * too long for a file's 32-bit durations. */
int clip_layout_build(const struct clip_source *sources, size_t count,
	const struct clip_window *window, struct clip_layout *ret_layout);
void clip_layout_fini(struct clip_layout *layout);
