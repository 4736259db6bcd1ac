/* SPDX-License-Identifier: Apache-2.0 */
/* A 64-bit hash for spreading names evenly; stable for ever, since placement and chunk jitter are
 * computed from it on every machine alike. Not for anything an adversary must not steer. */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint64_t hash64(uint64_t seed, const void *data, size_t len);
