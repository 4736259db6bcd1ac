/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/traps.h"

#include <stdlib.h>

#include "base/check.h"
#include "tests/sim/daemon.h"
#include "tests/sim/placing.h"

enum trap_act { TRAP_KILL, TRAP_PAUSE, TRAP_CUT_REPLIES, TRAP_CUT_STORE, TRAP_RESUME };

static const char *const moments[] = {
	"a take", "a head write", "a creation", "a batch", "a seal", "a record"};
static const char *const acts[] = {
	"killed", "paused", "deaf to the store", "cut off from the store", "others go on"};

struct traps {
	struct world *world;
	bool set, sprung;
	enum trap_moment moment;
	enum trap_act act;
	unsigned passes; /* such moments that pass before */
	unsigned origin; /* who sprang it */
	struct loop_task task;
};

static void resume_all(struct world *w)
{
	for (unsigned i = 0; i < w->daemon_count; i++)
		daemon_pause(&w->daemons[i], false);
}

/* Who was stopped comes back just when another is in the middle of something. */
static void set_return(struct traps *t)
{
	struct world *w = t->world;
	if (w->healed || world_chance(w, 30))
		return;
	t->set = true;
	t->act = TRAP_RESUME;
	static const enum trap_moment when[] = {
		TRAP_HEAD, TRAP_HEAD, TRAP_TAKEN, TRAP_CREATED, TRAP_SEALED, TRAP_RECORDED};
	/* who was in the middle of a take finds the winner in the middle of his first chunk (F7) */
	bool taking = t->moment == TRAP_TAKEN && world_chance(w, 80);
	t->moment = taking ? TRAP_HEAD : when[world_pick(w, 0, ARRAY_LEN(when) - 1)];
	t->passes = (unsigned)world_pick(w, 0, 1);
}

/* Not inside of the change, whose operation is still in the model's hands. */
static void on_sprung(struct loop_task *task)
{
	struct traps *t = container_of(task, struct traps, task);
	struct world *w = t->world;
	struct daemon *d = daemon_of_origin(w, t->origin);
	t->sprung = false;
	world_trace(w, "--- at %s by store %u: %s", moments[t->moment], t->origin, acts[t->act]);
	if (t->act == TRAP_RESUME) {
		resume_all(w);
		return;
	}
	if (!d)
		return;
	if (t->act == TRAP_KILL) {
		daemon_kill(d);
	} else if (t->act == TRAP_PAUSE) {
		daemon_pause(d, true);
		set_return(t);
	} else {
		daemon_cut_store(d, t->act == TRAP_CUT_STORE, true);
	}
	if (world_chance(w, 80))
		placing_leave(w->placing, d->index);
}

struct traps *traps_new(struct world *w)
{
	struct traps *t = calloc(1, sizeof(*t));
	CHECK(t);
	t->world = w;
	t->task.run = on_sprung;
	return t;
}

void traps_free(struct traps **slot)
{
	struct traps *t = *slot;
	*slot = NULL;
	if (!t)
		return;
	loop_undefer(&t->task);
	free(t);
}

void traps_set(struct traps *t)
{
	struct world *w = t->world;
	if (t->sprung)
		return;
	t->set = true;
	t->moment = world_chance(w, 25) ? TRAP_TAKEN
					: (enum trap_moment)world_pick(w, 0, TRAP_MOMENTS - 1);
	static const enum trap_act what[] = {
		TRAP_KILL, TRAP_PAUSE, TRAP_PAUSE, TRAP_CUT_REPLIES, TRAP_CUT_STORE, TRAP_RESUME};
	t->act = what[world_pick(w, 0, ARRAY_LEN(what) - 1)];
	t->passes = (unsigned)world_pick(w, 0, 2);
}

void traps_clear(struct traps *t)
{
	t->set = false;
}

void traps_saw(struct traps *t, enum trap_moment moment, unsigned origin)
{
	if (!t->set || moment != t->moment || t->passes--)
		return;
	t->set = false;
	t->sprung = true;
	t->origin = origin;
	loop_defer(&t->world->time.loop, &t->task);
}
