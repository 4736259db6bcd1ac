/* SPDX-License-Identifier: Apache-2.0 */
/* Which loop a first frame belongs to: streams are pinned by their camera, snapshots by their id.
 * Private to the session room. */
#pragma once

#include "storaged/session/machines.h"

/* The loop's index; the service's own when it does not matter or the frame cannot be read. */
unsigned route(const struct service *s, const struct frame *frame);

/* The loop, of so many, that a camera's streams belong to. */
unsigned route_of_camera(const char *camera, unsigned loops);
