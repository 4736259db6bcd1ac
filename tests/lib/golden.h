/* SPDX-License-Identifier: Apache-2.0 */
/* Golden files: the bytes of every format level ever written, in tests/golden. A format is right
 * when today's code writes and reads them still. */
#pragma once

#include <stddef.h>

/* Fails the running cmocka test unless tests/golden/NAME has exactly these bytes. With
 * STEPPE_GOLDEN_WRITE set in the environment it writes a file that is missing instead; one that
 * exists is never changed. */
void golden_check(const char *name, const void *data, size_t len);
/* Reads tests/golden/NAME, which has at most `room` bytes, and gives their number; fails the test
 * when it cannot. For what today's code must still read, though another library may write it
 * otherwise by now. */
size_t golden_read(const char *name, void *to, size_t room);
