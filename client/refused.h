/* SPDX-License-Identifier: Apache-2.0 */
/* What a daemon said when it refused. */
#pragma once

#include <stdint.h>

#include "proto/frame.h"

struct refused {
	int code; /* enum refusal; 0: none */
	uint32_t retry_after_ms;
	uint32_t lane; /* 1 + the lane it is about; 0: all */
	char reason[160];
};

/* Reads a REFUSED frame; a malformed one is a refusal with code REFUSAL_PROTOCOL. */
void refused_read(const struct frame *frame, struct refused *ret_refused);

/* What steppe_last_refusal answers on this thread from now on; NULL: none. */
void refused_remember(const struct refused *refused);
