/* SPDX-License-Identifier: Apache-2.0 */
/* Error codes: functions return 0 (or a count) or a negative code: -errno, or one of our own range
 * -2000..-2099, which is free of errno and of libuv's codes. */
#pragma once

#define ERR_GUARD     (-2000) /* a guard of a store write did not hold; nothing was changed */
#define ERR_UNKNOWN   (-2001) /* a store write may or may not have happened, or may happen later */
#define ERR_FORMAT    (-2002) /* bytes that do not follow their format */
#define ERR_CHECKSUM  (-2003) /* bytes that do not match their checksum */
#define ERR_TRUNCATED (-2004) /* bytes that end too early */
#define ERR_LIMIT     (-2005) /* beyond a stated limit */
#define ERR_FENCED    (-2006) /* another daemon owns the stream now */
#define ERR_REFUSED   (-2007) /* the other side refused, and said why */
#define ERR_CLOSED    (-2008) /* the other side closed, or the object is closing */
#define ERR_DAMAGED   (-2009) /* stored footage that cannot be returned unchanged */
#define ERR_GONE      (-2010) /* footage that was there and has been deleted since */
#define ERR_VERSION   (-2011) /* a format or protocol level this program does not know */
#define ERR_CONFIG    (-2012) /* a configuration that cannot be used */
#define ERR_TLS       (-2013) /* a TLS handshake or record that failed; the link holds the words */

/* A short lower-case description of `code` for people; never NULL; static storage. */
const char *err_text(int code);
