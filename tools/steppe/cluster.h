/* SPDX-License-Identifier: Apache-2.0 */
/* What commands that talk to the cluster begin with: the configuration and a handle. */
#pragma once

#include "client/steppe.h"
#include "tools/steppe/command.h"
#include "tools/steppe/config.h"

struct cluster {
	struct config config;
	struct steppe *steppe;
	bool verbose;
};

/* Reads the configuration and opens the cluster. Complains by itself; ENDED_OK or how to end. */
enum exit_code cluster_open(struct cluster *c, const struct command_call *call);
void cluster_close(struct cluster *c);

/* "camera/profile" from a command line's CAMERA, which may name the profile itself. False for what
 * is no name. */
#define CLUSTER_STREAM_MAX 128
bool cluster_stream(const char *camera, const char *profile, char to[CLUSTER_STREAM_MAX]);
/* The same, complaining. */
enum exit_code cluster_name_stream(const struct command_call *call, const char *camera,
	const char *profile, char to[CLUSTER_STREAM_MAX]);
/* Copies the camera of "camera/profile" and gives the profile, which lies in `stream`. */
const char *cluster_split(const char *stream, char to[CLUSTER_STREAM_MAX]);
