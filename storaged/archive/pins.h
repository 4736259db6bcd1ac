/* SPDX-License-Identifier: Apache-2.0 */
/* Pins: why footage of a partition must stay. The partition's attribute `pins` lists them, 32 bytes
 * each: hold id, from, to (big-endian microseconds). Pure. */
#pragma once

#include "storaged/archive/head.h"

#define PIN_SIZE 32u

/* Whether a hold over [from, to) touches chunks that begin on `day`: a chunk may reach past its
 * day's end (G6). */
bool pins_touch(struct wall from, struct wall to, int32_t day);
/* The attribute `old` with the head's holds over `day` added, those being released left out; each
 * id once. Gives a buffer, of no bytes when there is none. -ENOMEM; ERR_LIMIT when an attribute
 * cannot hold them; ERR_FORMAT. */
int pins_add_holds(const void *old, size_t old_len, const struct head *head, int32_t day,
	struct buf **ret_pins);
/* Whether a pin of the attribute or a hold of the head, one being released too, overlaps footage of
 * [from, to). An attribute that cannot be read holds everything. */
bool pins_hold(
	const void *pins, size_t len, const struct head *head, struct wall from, struct wall to);
