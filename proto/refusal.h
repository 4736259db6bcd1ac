/* SPDX-License-Identifier: Apache-2.0 */
/* The closed, numbered list of refusals: the same in messages, in libsteppe, in the command's exit
 * text and in HTTP. Numbers are for ever; docs/reference/refusals.md says what to do about each. */
#pragma once

#include <stdbool.h>

/* X(name, number, word, retry: whether the same request may succeed later by itself, text) */
#define REFUSALS(X)                                                                                \
	X(PROTOCOL, 1, "protocol", false, "the message does not follow the protocol")              \
	X(VERSION, 2, "version", false, "no protocol version is spoken by both sides")             \
	X(ROLE, 3, "role", false, "the certificate's role may not do this")                        \
	X(CERTIFICATE, 4, "certificate", false, "the certificate is not accepted")                 \
	X(NAME, 5, "name", false, "not a valid camera or stream name")                             \
	X(UNKNOWN_CAMERA, 6, "unknown-camera", false, "no such camera is registered")              \
	X(UNKNOWN_STREAM, 7, "unknown-stream", false, "the camera has no such stream")             \
	X(BUSY, 8, "busy", true, "another recorder is writing this stream")                        \
	X(NOT_OWNER, 9, "not-owner", true, "another daemon owns this camera")                      \
	X(TAKING_OVER, 10, "taking-over", true, "ownership is being taken; try again at once")     \
	X(OVERLOAD, 11, "overload", true, "the daemon takes no more load now")                     \
	X(STREAMS, 12, "too-many-streams", true, "the daemon has as many streams as it may")       \
	X(FULL, 13, "store-full", true, "the store has no space")                                  \
	X(STORE, 14, "store-error", true, "the store does not answer or fails")                    \
	X(CHECKSUM, 15, "checksum", true, "the bytes do not match their checksum")                 \
	X(TOO_LARGE, 16, "too-large", false, "larger than the stated limit")                       \
	X(MALFORMED_MEDIA, 17, "malformed-media", false,                                           \
		"not a well-formed fragment or init segment")                                      \
	X(NO_SYNC, 18, "no-sync", false, "the stream must start with a sync sample")               \
	X(SEQUENCE, 19, "sequence", false, "a fragment is missing before this one")                \
	X(SESSION_FORGOTTEN, 20, "session-forgotten", false,                                       \
		"the session's last number is no longer known")                                    \
	X(TIME, 21, "time", false, "a time outside what can be stored")                            \
	X(SUPERSEDED, 22, "superseded", false, "the same recorder opened the stream again")        \
	X(CREDIT, 23, "credit", false, "more was sent than the credit allows")                     \
	X(STOPPING, 24, "stopping", true, "the daemon is shutting down")                           \
	X(GONE, 25, "gone", false, "the footage has been deleted since")                           \
	X(DAMAGED, 26, "damaged", false, "the footage is damaged in the store")                    \
	X(SNAPSHOT, 27, "snapshot", false, "no such snapshot, or it has run out")                  \
	X(CONFLICT, 28, "conflict", true, "it was changed by another meanwhile")                   \
	X(INTERNAL, 29, "internal", true, "an error of the daemon; its log says more")             \
	X(NODE, 30, "node", false, "no such node, or one whose daemon is alive")

enum refusal {
#define REFUSAL_ENUM(name, number, word, retry, text) REFUSAL_##name = number,
	REFUSALS(REFUSAL_ENUM)
#undef REFUSAL_ENUM
};

/* The word ("busy"), the sentence, and whether to retry; an unknown number gives "unknown", a
 * sentence and false. */
const char *refusal_word(int refusal);
const char *refusal_text(int refusal);
bool refusal_retry(int refusal);
