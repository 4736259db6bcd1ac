/* SPDX-License-Identifier: Apache-2.0 */
/* Footage of the repository for tests of media: packets read whole with libavformat. */
#pragma once

#include <libavformat/avformat.h>
#include <stdbool.h>

/* The path of a file under tests/media; valid until the next call. */
const char *footage_path(const char *name);

struct footage {
	AVFormatContext *context;
	AVPacket **packets; /* of the best video stream, in decoding order */
	size_t count;
	AVStream *stream;
};
/* Fails the test when it cannot be read. `annexb`: with start codes and parameter sets among the
 * pictures. */
void footage_load(struct footage *f, const char *name, bool annexb);
void footage_free(struct footage *f);
