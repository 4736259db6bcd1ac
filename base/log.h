/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines for people and machines: one line a decision, words first, then key=value pairs:
 *	2026-11-23T21:40:00.000Z info chunk sealed stream=gate-7.main chunk=chk/... bytes=4194304
 * Library rooms return codes instead; only sessions, the keeper and the server log. Any thread may
 * log. */
#pragma once

#include <stdarg.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Lines above `level` are dropped. The default is LOG_INFO, to standard error. */
void log_set_level(enum log_level level);
/* LOG_* of "error", "warn", "info", "debug"; -EINVAL for another word. */
int log_level_parse(const char *word, enum log_level *ret_level);

/* One line; the format is printf's. Values that may hold spaces go through LOG_Q ("%s" in quotes is
 * the caller's). */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)
