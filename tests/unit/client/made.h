/* SPDX-License-Identifier: Apache-2.0 */
/* Made-up fragments for tests of what carries them. */
#pragma once

#include "client/item.h"

#define MADE_START_US INT64_C(1795470000000000)

/* An item of one second, number `n` (from 0) of its stream, with `bytes` of noise that follows from
 * n; every second one starts with a sync. Not numbered, not sealed. */
struct item *made_item(unsigned n, size_t bytes);
/* The same with another codec configuration. */
struct item *made_item_of(unsigned n, size_t bytes, unsigned config);
/* Whether the body is that of item n. */
bool made_is(const struct item *item, unsigned n);
