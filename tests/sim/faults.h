/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong: one act a step, drawn from the seed, in a mood that is drawn for each run (so that
 * some runs are all crashes, others all lost replies). Acts that last end by acts of their own. */
#pragma once

#include "tests/sim/world.h"

struct faults;

struct faults *faults_new(struct world *w);
void faults_free(struct faults **f);
/* The next act. */
void faults_step(struct faults *f);
/* Everything is put right: ways are open, stores answer, daemons and recorders run. */
void faults_heal(struct faults *f);
/* The name of a kind, NULL past the last; how often each happened is in the result. */
const char *faults_name(unsigned kind);
const uint64_t *faults_counts(const struct faults *f);
