/* SPDX-License-Identifier: Apache-2.0 */
/* What FFmpeg's libraries have to say goes to our log: at its lowest level, for most of it concerns
 * nobody, and without passwords. */
#pragma once

/* Once is enough, again is harmless; any thread. Also makes libavformat ready for networks. */
void avlog_install(void);
