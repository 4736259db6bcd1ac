/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers of 64 KiB and more: what is freed is kept for the next that needs about as much, up to a
 * limit for the whole process. The allocator would give such memory back to the kernel, and taking
 * it again costs more than anything else that is done with a fragment: a fault and a cleared page
 * each 4 KiB. For buf.c alone; from any thread. */
#pragma once

#include "base/buf.h"

#define LARGEBUF_LEAST (64u << 10) /* bytes; smaller ones are the allocator's */
#define LARGEBUF_MOST  (8u << 20)  /* and larger ones too */
#define LARGEBUF_KEPT  (16u << 20) /* bytes kept at most, whatever was in use */

/* Gives a buffer as buf_new does. */
struct buf *largebuf_new(size_t len);
