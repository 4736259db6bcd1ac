/* SPDX-License-Identifier: Apache-2.0 */
/* What every machine of this room shares: a state, a table of the moves that are allowed, and one
 * place where each move is checked and can be traced. */
#pragma once

#include "base/check.h"

/* Told of each move when a test or a tracing build sets it; NULL otherwise. `id`: what the machine
 * works on. */
typedef void (*machine_trace_fn)(
	void *user, const char *machine, const char *id, const char *from, const char *to);

struct machine_trace {
	machine_trace_fn moved;
	void *user;
};

struct machine_kind {
	const char *name;
	const char *const *states;
	const unsigned *may; /* for each state the states that may follow, one bit each */
};

#define MACHINE_TO(state) (1u << (state))

static inline void machine_move(const struct machine_kind *kind, unsigned *state, unsigned to,
	const struct machine_trace *trace, const char *id)
{
	CHECK(kind->may[*state] & MACHINE_TO(to));
	if (trace && trace->moved)
		trace->moved(trace->user, kind->name, id, kind->states[*state], kind->states[to]);
	*state = to;
}
