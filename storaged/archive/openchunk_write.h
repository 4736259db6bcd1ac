/* SPDX-License-Identifier: Apache-2.0 */
/* The operations of an open chunk: create with the first batch, batch, seal (PROTOCOL Record 2, 3,
 * 5). Private to openchunk. */
#pragma once

#include "storaged/archive/openchunk.h"

void openchunk_write_init(struct openchunk *c);
void openchunk_write_fini(struct openchunk *c);
/* Writes what waits, at most a batch. The first one creates the object. */
void openchunk_write_batch(struct openchunk *c);
void openchunk_write_seal(struct openchunk *c);
/* Sends the seal that was made; apart for a test's sake (RULE_SEAL_FIRST). */
void openchunk_submit_seal(struct openchunk *c);
/* Goes on to the index without a seal that can be read. */
void openchunk_skip_seal(struct openchunk *c);
/* The chunk's record, from what its own bytes say. */
void openchunk_make_record(struct openchunk *c);
/* The one place where the state changes. */
void openchunk_move(struct openchunk *c, enum openchunk_state to);
