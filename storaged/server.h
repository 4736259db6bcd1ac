/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon as a whole, the only place that knows all its parts: store backend, identity, a set of
 * rooms a loop, listeners, signals, health. */
#pragma once

#include <stddef.h>

#include "storaged/config.h"

/* Runs until SIGTERM or SIGINT, then stops in order: no new connections, batches finished, chunks
 * sealed, streams yielded. Borrows `config`; `config_path` (or NULL) is read again at SIGHUP. 0, or
 * a code with words in `why` when it cannot start. */
int server_run(struct config *config, const char *config_path, char *why, size_t why_size);
