/* SPDX-License-Identifier: Apache-2.0 */
/* Ctrl-C and SIGTERM for commands that end in an orderly way. The first asks; a second one ends the
 * program at once. */
#pragma once

#include <stdbool.h>

/* From now on the signals only ask. 0 or -errno. */
int stop_catch(void);
bool stop_asked(void);
/* Waits up to `ms` (-1: for ever), less when a signal comes or stop_ring is called. */
void stop_wait(int ms);
/* Ends a stop_wait; any thread. */
void stop_ring(void);
