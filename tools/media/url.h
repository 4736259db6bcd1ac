/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of cameras and the passwords that must not show in them. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Whether the address carries a password ("rtsp://user:word@host/"): such a one belongs into a
 * file. */
bool url_has_password(const char *url);
/* Whether the address names a source that goes on for ever and is connected to again (rtsp, udp,
 * rtp, srt, rtmp). */
bool url_is_live(const char *url);
bool url_is_rtsp(const char *url);
/* The address with the credentials put in, percent-encoded; those it carries itself are replaced.
 * `user` and `password` may be NULL. Gives a string to be freed; NULL when memory is short. */
char *url_with_credentials(const char *url, const char *user, const char *password);
/* Copies `text` (an address, or a line that holds some) with every password shown as "***". */
void url_redact(const char *text, char *to, size_t size);
