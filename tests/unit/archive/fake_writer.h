/* SPDX-License-Identifier: Apache-2.0 */
/* A writer that only shows what a test says it has, for tests of the reader. It stands in for
 * writer.h's functions of looking. */
#pragma once

#include "storaged/archive/writer.h"

struct writer {
	uint64_t epoch;
	struct writer_open_chunk chunks[HEAD_INTENTS_MAX];
	size_t count;
	struct gap open_gap;
};
