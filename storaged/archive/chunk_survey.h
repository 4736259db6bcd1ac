/* SPDX-License-Identifier: Apache-2.0 */
/* What a chunk says of itself when all of its bytes are at hand: for chunks whose index record or
 * seal is missing or damaged. Pure. */
#pragma once

#include "proto/bmff.h"
#include "storaged/archive/chunk.h"

struct chunk_survey {
	/* set by the caller, may be NULL: told of each range that is hopped over */
	void (*damage)(struct chunk_survey *s, const struct chunk_item *item);
	/* result */
	bool head_known; /* header and init segment are whole */
	struct chunk_header header;
	size_t init_len, head_len;
	uint32_t init_crc;
	bool sealed;            /* the seal is whole: table and seal are those it holds */
	struct chunk_seal seal; /* else: made from what was found, CHUNK_END_RECOVERED */
	struct chunk_table table;
	uint32_t damaged; /* ranges hopped over */
	uint64_t damaged_bytes;
	uint64_t end; /* of what is whole: where a seal would go */
	/* private */
	bool lost_before; /* the next fragment follows damage, which is why there is a hole before
			     it */
};
/* Reads `len` bytes of a chunk, bodies' checksums included. 0; -ENOMEM; ERR_DAMAGED when the init
 * segment is damaged, without which fragments mean nothing (unless the seal, which has the table
 * too, is whole). chunk_survey_fini in any case. */
int chunk_survey(struct chunk_survey *s, const void *data, size_t len);
void chunk_survey_fini(struct chunk_survey *s);
