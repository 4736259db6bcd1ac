/* SPDX-License-Identifier: Apache-2.0 */
/* Golden files: the bytes of every format level ever written, in tests/golden. A format is right
 * when today's code writes and reads them still. */
#pragma once

#include <stddef.h>

/* Fails the running cmocka test unless tests/golden/NAME has exactly these bytes. With
 * STEPPE_GOLDEN_WRITE set in the environment it writes a file that is missing instead; one that
 * exists is never changed. */
void golden_check(const char *name, const void *data, size_t len);
