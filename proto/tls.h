/* SPDX-License-Identifier: Apache-2.0 */
/* One TLS 1.3 conversation over a connected, non-blocking socket, without events of its own:
 * whoever watches the socket calls in. OpenSSL's SSL is behind this header: tls.c, tls_identity.c
 * and tls_judge.c alone use it. Private to the link.
 *
 * Incoming bytes are decrypted into the caller's space; outgoing ones are encrypted into a buffer
 * that tls_flush hands to the kernel in large writes. Both buffers exist only while there is
 * something in them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/channel.h"
#include "proto/link.h"

struct tls;

#define TLS_WRITE_BYTES                                                                            \
	(64u << 10) /* tls_write takes more as long as fewer encrypted bytes than these wait */

struct tls_start {
	struct tls_identity *id; /* a reference is taken */
	int fd;                  /* borrowed for the conversation's life */
	bool accepts;            /* the server's side */
	unsigned expect_roles;   /* the peer must have one of these; 0: any role */
	const char *address;     /* dialing: under which sessions are kept for resumption; copied */
	uint64_t rekey_records;  /* sent under one key; 0: four million, a sixth of what AES-GCM
				    allows */
};
/* NULL when memory is short. */
struct tls *tls_new(const struct tls_start *start);
void tls_free(struct tls **t);

/* Goes on with the handshake: 0 when it is done, the peer's certificate is judged and
 * `tls_identify` may be called; -EAGAIN: more must arrive first; ERR_TLS or an errno: tls_words.
 * Call tls_flush after each call, also a failed one: the peer is told why. */
int tls_handshake(struct tls *t);
/* Name and roles of the peer, as its certificate says. */
void tls_identify(const struct tls *t, struct channel_identity *ret_identity);
/* Whether an earlier session was resumed. */
bool tls_resumed(const struct tls *t);

/* Decrypts up to `len` bytes; 0: the peer ended in good order; -EAGAIN: nothing is there until the
 * socket is readable again; ERR_TLS or an errno. */
ssize_t tls_read(struct tls *t, void *to, size_t len);
/* The socket was seen to be readable. */
void tls_readable(struct tls *t);
/* Encrypts bytes; less than `len` (even 0) when the outgoing buffer has enough for one write to the
 * kernel. -ENOMEM, ERR_TLS. */
ssize_t tls_write(struct tls *t, const void *from, size_t len);
/* Encrypts the word that nothing more will come. Harmless twice. */
void tls_say_end(struct tls *t);
/* Hands the outgoing buffer to the kernel: 0 when it is empty, -EAGAIN when the socket takes no
 * more now, or an errno. */
int tls_flush(struct tls *t);
size_t tls_unsent(const struct tls *t);

/* Why the last call failed, for a person; never NULL. */
const char *tls_words(const struct tls *t);
/* The cipher in use, "TLS_AES_128_GCM_SHA256". */
const char *tls_cipher(const struct tls *t);
