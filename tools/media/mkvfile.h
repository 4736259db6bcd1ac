/* SPDX-License-Identifier: Apache-2.0 */
/* A Matroska file of fragments, by libavformat. */
#pragma once

#include "tools/media/unpack.h"

struct mkvfile;

/* Creates the file for the tracks of `init`; `start_us` becomes its time zero and is written as its
 * date. 0 or a negative code; -ENOTSUP for tracks it has no place for (metadata). */
int mkvfile_open(const char *path, const struct bmff_init *init, int64_t start_us,
	struct mkvfile **ret_file);
/* Adds one sample. */
int mkvfile_write(struct mkvfile *m, const struct unpacked *sample);
/* Finishes the file, frees, sets *m to NULL. 0 or a negative code: then the file is not whole. */
int mkvfile_close(struct mkvfile **m);
