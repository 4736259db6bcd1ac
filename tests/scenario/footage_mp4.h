/* SPDX-License-Identifier: Apache-2.0 */
/* Real footage in memory, for programs that record the same film on many cameras. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct film_sample {
	const uint8_t *data;
	size_t len;
	int64_t dts, pts, duration; /* ticks */
	bool sync;
};

struct film {
	bool h265;
	uint32_t timescale;
	uint16_t width, height;
	uint8_t *config;
	size_t config_len;
	struct film_sample *samples;
	size_t count;
	int64_t length; /* ticks, of one showing */
};

/* Reads the video track of an MP4 file; false with words on standard error. */
bool film_read(const char *path, struct film *ret_film);
void film_free(struct film *film);
