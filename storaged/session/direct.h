/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a question about a stream is this daemon's to answer, by the map (docs/design/cluster.md,
 * *Moves*). Private to the session room. */
#pragma once

#include "storaged/session/conn.h"

/* Sends who asks to the daemon that owns the stream, or refuses; false: it is to be answered here. */
bool direct(struct conn *conn, const struct frame *frame);
/* Ends a request with REDIRECT to who owns the stream by the map in force; false: that is this
 * daemon, or nobody. */
bool direct_request(struct request *req, const char *stream);
