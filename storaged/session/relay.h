/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about streams that are pinned to another loop. A connection stays on the loop that
 * accepted it; for each other loop that its requests concern there is one relay: on that loop it is
 * a channel like any other, on this one it hands frames over and back. Frames keep their order;
 * bodies travel by reference. Private to the session room. */
#pragma once

#include "storaged/session/conn.h"

struct relay;

/* Hands a first frame, and all that follow on its number, to loop `target`. Refuses by itself when
 * it cannot. */
void relay_begin(struct conn *conn, const struct frame *frame, unsigned target);
/* The connection's queue has room again, or the connection has ended: its relays are told. */
void relay_drained(struct conn *conn);
void relay_closed(struct conn *conn);
