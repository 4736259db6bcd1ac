/* SPDX-License-Identifier: Apache-2.0 */
/* A camera, and the program that records it with the client library's own core: pictures four a
 * second into steppe_recorder_write, acknowledgements into the oracle. The program can be killed,
 * ended in order and started anew; the camera goes on. */
#pragma once

#include "client/recorder.h"
#include "tests/sim/world.h"

#define PICTURES_PER_SECOND 4
#define PICTURE_US          (US_PER_SECOND / PICTURES_PER_SECOND)
#define PICTURES_PER_GROUP  8

enum picture_fate {
	PICTURE_TAKEN,    /* by the recorder: it must become durable */
	PICTURE_LEFT_OUT, /* not taken: no program, no room, or not to be decoded */
	PICTURE_AT_RISK,  /* its program was killed before it was acknowledged */
};

struct picture {
	int64_t capture_us;
	uint8_t fate;
	bool acknowledged;
};

struct program;

struct camera {
	struct world *world;
	unsigned index;
	char stream[24], party[16];
	struct program *program; /* NULL: none runs */
	unsigned tenure;         /* programs so far */
	struct loop_timer shutter;
	struct picture *pictures; /* all there ever were, by number */
	uint64_t picture_count, picture_room;
	int64_t clock_us; /* of the next picture */
	unsigned size;    /* bytes of a picture */
	unsigned config;  /* the codec's */
	unsigned dark_s;  /* shows nothing for so long */
	bool broken;      /* what comes can be decoded from the next group on */
	bool spool, stopped;
	char spool_dir[40];
	uint64_t memory_limit;
};

void camera_init(struct camera *c, struct world *w, unsigned index);
void camera_fini(struct camera *c);
/* Starts a program if none runs. */
void camera_start(struct camera *c);
void camera_kill(struct camera *c);
/* Ends the program in order within `timeout_ms`; program becomes NULL in the end. */
void camera_end(struct camera *c, int timeout_ms);
/* Every picture so far is durable, or was lost for a reason. */
bool camera_is_drained(const struct camera *c);

/* The camera shows nothing for a while, and the recorder knows. */
void camera_darken(struct camera *c, unsigned seconds);
void camera_change_codec(struct camera *c);
void camera_step_clock(struct camera *c, int64_t by_us);
/* Its program's connections break. */
void camera_hang_up(struct camera *c);
/* The picture a number names; NULL: none such was shown. */
const struct picture *camera_picture(const struct camera *c, uint64_t number);
