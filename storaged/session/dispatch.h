/* SPDX-License-Identifier: Apache-2.0 */
/* Which machine a first frame begins, and which roles may begin it. Private to the session room. */
#pragma once

#include "storaged/session/conn.h"

/* Begins what `frame` asks for, or refuses. */
void dispatch(struct conn *conn, const struct frame *frame);
