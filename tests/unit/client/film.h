/* SPDX-License-Identifier: Apache-2.0 */
/* Films for tests of the client: made by ffmpeg from the footage in tests/media, read with
 * libavformat as samples, cut into fragments by the real fragmenter, laid into chunks as a daemon
 * lays them. And the judge: the rows of `ffmpeg -f framemd5`. */
#pragma once

#include "client/clip_layout.h"
#include "client/fragmenter.h"

#define FILM_START_US INT64_C(1795470000000000)

/* A folder of the test program's own, removed by film_clean(). */
const char *film_folder(void);
void film_clean(void);
/* Runs ffmpeg on tests/media/NAME: "-i MEDIA ARGS FOLDER/OUT". Gives the path; fails the test when
 * ffmpeg does. */
const char *film_make(const char *media, const char *args, const char *out);

/* Samples of a file, in the file's order. */
struct film {
	struct steppe_track tracks[FRAGMENT_TRACKS_MAX];
	unsigned track_count, video;
	struct steppe_sample *samples;
	size_t count, room;
};
/* Presentation time 0 of the video is `start_us`. */
void film_read(struct film *f, const char *path, int64_t start_us);
void film_free(struct film *f);

/* Chunks in memory. */
struct film_chunk {
	char name[64];
	uint64_t epoch;
	struct buf *init;
	struct chunk_table table;
	uint8_t *bytes;
	size_t len, room;
	int64_t zero_us; /* wall time of chunk tick 0, as tfdt counts */
	bool begun;
	int64_t shift[FRAGMENT_TRACKS_MAX];
	int64_t next[FRAGMENT_TRACKS_MAX];
};
#define FILM_CHUNKS_MAX 256
struct film_archive {
	struct film_chunk chunks[FILM_CHUNKS_MAX];
	size_t count;
	uint64_t session, seq, epoch;
	unsigned chunk_fragments; /* a chunk ends after so many, wherever that is */
};
/* Takes the item, numbers and seals it, appends it to the open chunk. */
void film_store(struct film_archive *a, struct item *item);
/* The next fragment begins another chunk. */
void film_cut(struct film_archive *a);
void film_archive_free(struct film_archive *a);
/* All items that a fragmenter has made. */
void film_store_made(struct film_archive *a, struct fragmenter *f);

/* Writes the layout's files to FOLDER/NAME.<n>.mp4. */
void film_write(const struct film_archive *a, const struct clip_layout *layout, const char *name);
int film_layout(const struct film_archive *a, const struct clip_window *window,
	struct clip_layout *ret_layout);

/* The rows of framemd5 of a file's first track of a kind ('v', 'a'): presentation time in
 * microseconds, and the digest. */
struct film_row {
	int64_t pts_us, duration_us;
	char md5[33];
};
struct film_rows {
	struct film_row *rows;
	size_t count;
};
struct film_rows film_judge(const char *path, char kind);
