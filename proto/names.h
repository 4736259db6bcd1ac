/* SPDX-License-Identifier: Apache-2.0 */
/* Names of cameras and streams. A camera id is `[A-Za-z0-9][A-Za-z0-9._-]{0,63}` without ".."; a
 * stream is a camera's profile, written "camera/profile" ("gate-7/main", "gate-7/main.b"); profiles
 * follow the camera's grammar, up to 15. */
#pragma once

#include <stdbool.h>

#define CAMERA_ID_MAX   64
#define PROFILE_MAX     15
#define STREAM_NAME_MAX (CAMERA_ID_MAX + 1 + PROFILE_MAX)

bool camera_id_is_valid(const char *id);
bool profile_is_valid(const char *profile);
/* Splits "camera/profile"; the outputs may be NULL to only validate. -EINVAL for a name that is not
 * one. */
int stream_name_split(
	const char *name, char ret_camera[CAMERA_ID_MAX + 1], char ret_profile[PROFILE_MAX + 1]);
