/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/names.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* Not ctype's isalnum: its answer depends on the locale, and names are keys of stored objects. */
static bool is_alphanumeric(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool word_is_valid(const char *word, size_t len, size_t max)
{
	if (len == 0 || len > max || !is_alphanumeric(word[0]))
		return false;
	for (size_t i = 1; i < len; i++) {
		if (!is_alphanumeric(word[i]) && !memchr("._-", word[i], 3))
			return false;
		if (word[i] == '.' && word[i - 1] == '.')
			return false;
	}
	return true;
}

bool camera_id_is_valid(const char *id)
{
	return word_is_valid(id, strnlen(id, CAMERA_ID_MAX + 1), CAMERA_ID_MAX);
}

bool profile_is_valid(const char *profile)
{
	return word_is_valid(profile, strnlen(profile, PROFILE_MAX + 1), PROFILE_MAX);
}

int stream_name_split(
	const char *name, char ret_camera[CAMERA_ID_MAX + 1], char ret_profile[PROFILE_MAX + 1])
{
	/* bounded, since the name may have come from a peer at any length */
	const char *slash = memchr(name, '/', strnlen(name, CAMERA_ID_MAX + 1));
	if (!slash || !profile_is_valid(slash + 1))
		return -EINVAL;
	size_t camera_len = (size_t)(slash - name);
	if (!word_is_valid(name, camera_len, CAMERA_ID_MAX))
		return -EINVAL;
	if (ret_camera) {
		memcpy(ret_camera, name, camera_len);
		ret_camera[camera_len] = 0;
	}
	if (ret_profile)
		memcpy(ret_profile, slash + 1, strlen(slash + 1) + 1);
	return 0;
}
