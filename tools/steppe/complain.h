/* SPDX-License-Identifier: Apache-2.0 */
/* Errors as people read them: what went wrong, and what to do next. */
#pragma once

#include "tools/steppe/command.h"

/* "steppe export: WHAT" and, unless NULL, "  try: ADVICE" on standard error. */
void complain(const struct command_call *call, const char *what, const char *advice);
void complainf(const struct command_call *call, const char *advice, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Of a failed call of libsteppe on this thread: the refusal with the daemon's words, or the error's
 * text; and what helps. Gives the exit code. `doing`: "reading the timeline of gate-7/main". */
enum exit_code complain_of(const struct command_call *call, int error, const char *doing);
/* The same for a refusal known by its number. */
enum exit_code complain_refusal(
	const struct command_call *call, int refusal, const char *reason, const char *doing);
