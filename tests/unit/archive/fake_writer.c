/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/archive/fake_writer.h"

#include <string.h>

size_t writer_open_chunks(const struct writer *w, struct writer_open_chunk chunks[HEAD_INTENTS_MAX])
{
	memcpy(chunks, w->chunks, sizeof(w->chunks));
	return w->count;
}

struct gap writer_open_gap(const struct writer *w)
{
	return w->open_gap;
}

uint64_t writer_epoch(const struct writer *w)
{
	return w->epoch;
}
