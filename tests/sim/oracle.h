/* SPDX-License-Identifier: Apache-2.0 */
/* Sees every change of every object as it is applied and every acknowledgement as it is heard, and
 * says when a promise is broken:
 *
 * P1, P2  what is acknowledged lies in a chunk that head or index names, and stays there unchanged;
 * P3      once a daemon is READY, no other changes the stream's head or chunks; epochs and versions
 *         only rise; bytes are only appended, and to nothing that is sealed;
 * P4      every fragment holds pictures that were shown, once, in order, with their times;
 * P6      every record says what its chunk says.
 *
 * Works on the objects' bytes alone; shares codecs with the archive, but no judgement. */
#pragma once

#include "tests/sim/pattern.h"
#include "tests/sim/world.h"

struct oracle *oracle_new(struct world *w);
void oracle_free(struct oracle **o);

/* A machine of the daemon behind store `origin` has moved: from READY on the stream is its own. */
void oracle_moved(
	struct oracle *o, unsigned origin, const char *machine, const char *id, const char *to);
/* A recorder was told that a fragment is durable: gives its pictures. -1 after a problem. */
int oracle_acknowledged(struct oracle *o, const char *stream, uint64_t session, uint64_t seq,
	const uint8_t *digest, struct pattern_run *ret_run);
/* The picture lies in the store, in a chunk that is named. */
bool oracle_holds(const struct oracle *o, const char *stream, uint64_t picture);
/* A fragment in a viewer's hands is one that lies in the store. */
bool oracle_knows(const struct oracle *o, const char *stream, uint64_t session, uint64_t seq,
	const uint8_t *digest);
/* At rest: every object's bytes are still those that were appended, no intent is left, every chunk
 * is sealed and has its record. */
void oracle_demand_rest(struct oracle *o);
uint64_t oracle_chunks(const struct oracle *o);
