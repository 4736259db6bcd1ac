/* SPDX-License-Identifier: Apache-2.0 */
/* A cluster's map as model daemons have it: who is alive, who owns a camera, and the frames that
 * tell of it. */
#pragma once

#include "proto/channel.h"

#define FAKE_NODES 4

/* Nodes by name; each listens at NAME:1. */
struct fake_map {
	uint64_t epoch;
	unsigned count;
	const char *names[FAKE_NODES];
	bool dead[FAKE_NODES];
	const char *addresses; /* of all nodes, in place of their names; NULL: these */
};

/* The name of a camera's owner; NULL: nobody is alive. */
const char *fake_map_owner(const struct fake_map *m, const char *camera);
/* Whether that is `name`. */
bool fake_map_owns(const struct fake_map *m, const char *name, const char *camera);
/* A camera "cam-N" that `name` owns; the `nth` such, static storage. */
const char *fake_map_camera(const struct fake_map *m, const char *name, unsigned nth);
/* Its index by name; fails the test when it is none of them. */
unsigned fake_map_index(const struct fake_map *m, const char *name);
/* The next epoch: alive or not. */
void fake_map_set(struct fake_map *m, const char *name, bool alive);

/* Answers MAP; with NULL as an older daemon does. */
void fake_map_answer(const struct fake_map *m, struct channel *ch, const struct frame *frame);
/* Answers with a REDIRECT to the camera's owner. */
void fake_map_redirect(
	const struct fake_map *m, struct channel *ch, uint32_t stream, const char *camera);
