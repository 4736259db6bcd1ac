/* SPDX-License-Identifier: Apache-2.0 */
/* What tls.c, tls_identity.c and tls_judge.c share. An identity is an SSL_CTX (own certificate and
 * key, trusted roots, revocation list, ticket keys) and the sessions that its dialing links may
 * resume. Another identity has other ticket keys, so that after a reload every peer's certificate
 * is judged anew. */
#pragma once

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "proto/link.h"

#define TLS_SESSIONS 32 /* addresses of which a session is kept */

struct tls_identity {
	SSL_CTX *ctx;
	BIO_METHOD *wire; /* how conversations reach their sockets: tls_wire_new */
	atomic_uint refs;
	pthread_mutex_t lock; /* of the sessions */
	struct tls_session {
		char address[272];
		SSL_SESSION *session;
	} sessions[TLS_SESSIONS];
	unsigned next_session; /* the slot to give up when all are taken */
};

/* Takes the session kept for `address` out, for use once; NULL when there is none. Gives a
 * reference. */
SSL_SESSION *tls_identity_take_session(struct tls_identity *id, const char *address);
/* Keeps `session` (takes the reference) in place of an earlier one. */
void tls_identity_keep_session(struct tls_identity *id, const char *address, SSL_SESSION *session);

/* In tls.c: the methods of the BIO, and what the context calls with a new session. */
BIO_METHOD *tls_wire_new(void);
int tls_new_session(SSL *ssl, SSL_SESSION *session);

/* In tls_judge.c. A conversation's SSL has its verdict as application data. */
struct tls_verdict {
	unsigned expect_roles; /* 0: any */
	char words[400];       /* why the peer is not accepted, or what else failed */
};
/* The context's verify callback: certificates, roles. */
int tls_judge_certificate(int preverified, X509_STORE_CTX *store);
/* Whether the certificate has a role that is expected; writes words when not. */
bool tls_role_fits(struct tls_verdict *v, X509 *cert);
/* Words for one of OpenSSL's X509_V_ERR_*. */
void tls_certificate_words(struct tls_verdict *v, X509 *cert, int error);
/* What an alert of the peer, or bytes that are not TLS, mean; NULL for what has no words of our
 * own. */
const char *tls_peer_said(int reason);
