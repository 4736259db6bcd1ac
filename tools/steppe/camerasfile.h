/* SPDX-License-Identifier: Apache-2.0 */
/* A file of cameras to be recorded together:
 *
 *	cameras:
 *	  - camera: gate-7
 *	    source: rtsp://10.1.2.3/stream1
 *	    stream: main            # main when not given
 *	    user: admin             # and password, or password_env, or password_file, or passwords:
 * of the configuration password_env: GATE_PASSWORD transport: udp          # tcp when not given
 *	    clock: receipt          # auto when not given: the camera's own, if it sends it
 *	    audio: no               # yes when not given
 *	    loop: yes               # files alone */
#pragma once

#include "tools/media/source.h"
#include "tools/steppe/cluster.h"
#include "tools/steppe/yamlfile.h"

#define CAMERASFILE_MAX 10000

struct camerasfile_entry {
	char stream[CLUSTER_STREAM_MAX];
	struct source_options source; /* strings live as long as the file, or are `owned` */
	char *owned_password;
};

struct camerasfile {
	struct camerasfile_entry *entries;
	size_t count;
	struct yamlfile file;
};

/* 0 or a negative code with words that name file and line. */
int camerasfile_load(struct camerasfile *c, const char *path, char *why, size_t why_size);
int camerasfile_parse(
	struct camerasfile *c, const void *data, size_t len, char *why, size_t why_size);
void camerasfile_fini(struct camerasfile *c);
