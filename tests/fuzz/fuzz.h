/* SPDX-License-Identifier: Apache-2.0 */
/* What libFuzzer and tests/lib/fuzz_replay.c call: one harness a program. */
#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
