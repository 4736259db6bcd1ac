/* SPDX-License-Identifier: Apache-2.0 */
/* Which daemon should own which camera, and who believes what of it: a map that changes in the
 * middle of everything and of which clients learn late, each by itself. Whatever it says, no
 * promise depends on it. */
#pragma once

#include "tests/sim/world.h"

struct placing *placing_new(struct world *w);
void placing_free(struct placing **p);
/* The camera should be with that daemon from now on; its recorder learns of it within seconds. */
void placing_move(struct placing *p, unsigned camera, unsigned daemon);
/* The cameras of a daemon that is not well go elsewhere. */
void placing_leave(struct placing *p, unsigned daemon);
/* What a recorder is given to connect to: the cluster's one name, or all daemons. */
const char *const *placing_addresses(struct placing *p);
/* Every daemon's address, for viewers. */
const char *const *placing_daemons(struct placing *p);
/* The daemon that a recorder believes in when it dials the cluster's name; another address is that
 * of a daemon already. */
const char *placing_resolve(struct placing *p, unsigned camera, const char *address);
