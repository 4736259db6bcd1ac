/* SPDX-License-Identifier: Apache-2.0 */
/* Faults at a moment that is worth it: just when a chunk is made, sealed or recorded, or a head
 * written or taken, the daemon that did it is killed, stopped, cut off, or those that are stopped go
 * on. Set by faults, sprung by the change. */
#pragma once

#include "tests/sim/world.h"

struct traps;

struct traps *traps_new(struct world *w);
void traps_free(struct traps **t);
/* Sets one, drawn from the seed; one at a time: it takes the place of what waits. */
void traps_set(struct traps *t);
void traps_clear(struct traps *t);
/* A change was applied: of what kind, by whom. The trap springs right after it. */
enum trap_moment {
	TRAP_TAKEN,    /* an epoch raised */
	TRAP_HEAD,     /* a head written */
	TRAP_CREATED,  /* a chunk made */
	TRAP_APPENDED, /* a batch */
	TRAP_SEALED,
	TRAP_RECORDED,
	TRAP_MOMENTS
};
void traps_saw(struct traps *t, enum trap_moment moment, unsigned origin);
