/* SPDX-License-Identifier: Apache-2.0 */
/* Where below its pool's directory an object's body lies. Pure; no two objects share a path:
 *
 *	chk/gate-7/main/3.17.0   chk/gate-7/main/3.17.0.mp4, and its other file
 * chk/gate-7/main/3.17.0~.mp4 a.mp4/b                  a.mp4+/b.mp4        a directory never ends
 * in .mp4 (over 200 bytes)         first 200=/rest.mp4
 *
 * '~', '+' and '=' are in no object's name. The suffix lets people and players see that a chunk is
 * an ordinary MP4. */
#pragma once

#include <stdint.h>

#define LOCAL_PATH_MAX 320 /* with the NUL */

/* The path of file 0 or 1 of object `name`, which store.c has judged. */
void local_path(char to[LOCAL_PATH_MAX], const char *name, uint8_t file);
