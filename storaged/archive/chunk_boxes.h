/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the chunk codec share: our box types and how their headers are written. Not for
 * other rooms. */
#pragma once

#include "base/bytes.h"
#include "proto/bmff.h"

#define CHUNK_UUID_SIZE  16
#define CHUNK_BOX_HEADER 24u /* size, 'uuid', the uuid */

extern const uint8_t chunk_uuid_own[CHUNK_UUID_SIZE];  /* steppe-chunk */
extern const uint8_t chunk_uuid_frag[CHUNK_UUID_SIZE]; /* steppe-frag */
extern const uint8_t chunk_uuid_seal[CHUNK_UUID_SIZE]; /* steppe-seal */

/* Writes the header of a box of ours that has `size` bytes in all. */
void chunk_box_put(struct bytes *b, const uint8_t uuid[CHUNK_UUID_SIZE], uint32_t size);
/* Reads the header of a box that must be ours with that uuid: 0 and its whole size, ERR_TRUNCATED,
 * ERR_FORMAT. */
int chunk_box_get(struct bytes *b, const uint8_t uuid[CHUNK_UUID_SIZE], uint64_t *ret_size);
