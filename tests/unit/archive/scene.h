/* SPDX-License-Identifier: Apache-2.0 */
/* One daemon, one recorder of gate-7/main, and what is in the store when both have come to rest. */
#pragma once

#include "tests/unit/archive/oracle.h"

#define STREAM "gate-7/main"

struct scene {
	struct rig rig;
	struct rig_node *node;
	struct recorder *recorder;
	struct oracle found;
};

void scene_start(struct scene *s, const struct store_model_options *options);
/* The recorder begins. */
void scene_go(struct scene *s);
/* The recorders stop, everything becomes durable, the daemon ends; what is there then is in
 * s->found. */
void scene_rest(struct scene *s);
void scene_end(struct scene *s);

struct writer_session *session_of(struct recorder *r);
/* Hands one fragment made outside of the recorder to its session. */
int scene_append(struct recorder *r, struct footage *f, uint16_t flags);
