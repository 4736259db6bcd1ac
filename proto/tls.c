/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <openssl/err.h>

#include "base/check.h"
#include "base/errors.h"
#include "base/timetext.h"
#include "proto/pki_x509.h"
#include "proto/tls_identity.h"

#define RECORD 16384u /* plain bytes of a full record */
#define OUT_SIZE                                                                                   \
	(TLS_WRITE_BYTES + 2 * RECORD) /* holds a record more than that, and its overhead */
#define OUT_SMALL     4096u            /* enough for most answers */
#define OUT_MAX       (1u << 20)       /* only a handshake out of all proportion gets there */
#define REKEY_RECORDS (UINT64_C(1) << 22)

struct tls {
	SSL *ssl;
	struct tls_identity *id;
	char *address;
	int fd;
	struct tls_verdict verdict;
	bool drained; /* the socket gave less than was asked: it has no more until it is readable
			 again */
	bool ended;   /* it gave its end */
	bool failed;  /* nothing can be read or written any more */
	int io_error; /* of the socket or of memory */
	uint64_t records, rekey_records;
	uint8_t *out; /* encrypted bytes from out_at to out_len wait for the kernel */
	size_t out_at, out_len, out_size;
};

/* --- the BIO between a conversation and its socket */

static int wire_read(BIO *bio, char *to, int len)
{
	struct tls *t = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	ssize_t n = -1;
	if (!t->drained) {
		do
			n = recv(t->fd, to, (size_t)len, 0);
		while (n < 0 && errno == EINTR);
		if (n == 0)
			t->ended = true;
		else if (n > 0 || errno == EAGAIN || errno == EWOULDBLOCK)
			t->drained = n < len;
		else
			t->io_error = -errno;
	}
	if (n < 0 && t->drained)
		BIO_set_retry_read(bio);
	return (int)n;
}

/* Room for `len` more bytes behind those that wait. */
static bool out_reserve(struct tls *t, size_t len)
{
	if (t->out_at == t->out_len)
		t->out_at = t->out_len = 0;
	if (t->out_size - t->out_len >= len)
		return true;
	size_t waiting = t->out_len - t->out_at;
	if (t->out_at && t->out_size - waiting >= len) {
		memmove(t->out, t->out + t->out_at, waiting);
	} else {
		size_t size = waiting + len;
		size = size <= OUT_SMALL ? OUT_SMALL : size <= OUT_SIZE ? OUT_SIZE : size;
		uint8_t *out = size <= OUT_MAX ? malloc(size) : NULL;
		if (!out)
			return false;
		if (waiting)
			memcpy(out, t->out + t->out_at, waiting);
		free(t->out);
		t->out = out;
		t->out_size = size;
	}
	t->out_at = 0;
	t->out_len = waiting;
	return true;
}

static int wire_write(BIO *bio, const char *from, int len)
{
	struct tls *t = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	if (!out_reserve(t, (size_t)len)) {
		t->io_error = -ENOMEM;
		return -1;
	}
	memcpy(t->out + t->out_len, from, (size_t)len);
	t->out_len += (size_t)len;
	return len;
}

static long wire_control(BIO *bio, int command, long number, void *pointer)
{
	(void)number;
	(void)pointer;
	const struct tls *t = BIO_get_data(bio);
	if (command == BIO_CTRL_FLUSH)
		return 1; /* tls_flush does */
	return command == BIO_CTRL_EOF && t->ended;
}

BIO_METHOD *tls_wire_new(void)
{
	BIO_METHOD *wire = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "socket");
	if (wire && BIO_meth_set_read(wire, wire_read) && BIO_meth_set_write(wire, wire_write) &&
		BIO_meth_set_ctrl(wire, wire_control))
		return wire;
	BIO_meth_free(wire);
	return NULL;
}

/* --- life */

static bool start(struct tls *t, bool accepts)
{
	t->ssl = SSL_new(t->id->ctx);
	BIO *bio = t->ssl ? BIO_new(t->id->wire) : NULL;
	if (!bio)
		return false;
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio);
	SSL_set_app_data(t->ssl, &t->verdict);
	if (accepts) {
		SSL_set_accept_state(t->ssl);
		return true;
	}
	SSL_set_connect_state(t->ssl);
	SSL_SESSION *session = tls_identity_take_session(t->id, t->address);
	/* without it the handshake is a full one */
	if (session)
		(void)SSL_set_session(t->ssl, session);
	SSL_SESSION_free(session);
	return true;
}

struct tls *tls_new(const struct tls_start *how)
{
	struct tls *t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->id = tls_identity_ref(how->id);
	t->fd = how->fd;
	t->verdict.expect_roles = how->expect_roles;
	t->rekey_records = how->rekey_records ? how->rekey_records : REKEY_RECORDS;
	t->address = strdup(how->address ? how->address : "");
	if (!t->address || !start(t, how->accepts)) {
		ERR_clear_error();
		tls_free(&t);
	}
	return t;
}

void tls_free(struct tls **slot)
{
	struct tls *t = *slot;
	*slot = NULL;
	if (!t)
		return;
	SSL_free(t->ssl); /* its BIO with it */
	tls_identity_unref(&t->id);
	free(t->address);
	free(t->out);
	free(t);
}

/* --- what went wrong, in words */

const char *tls_words(const struct tls *t)
{
	return t->verdict.words;
}

/* The conversation is over; the code and, unless the certificate was what failed, the words. */
static int conversation_failed(struct tls *t, const char *during)
{
	unsigned long code = ERR_peek_error();
	int reason = ERR_GET_REASON(code);
	t->failed = true;
	int rc = t->io_error;
	if (t->verdict.words[0] && !rc) {
		rc = ERR_TLS;
	} else if (rc) {
		snprintf(t->verdict.words, sizeof(t->verdict.words), "%s: %s", during,
			strerror(-rc));
	} else if (!code || t->ended || reason == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
		rc = -ECONNRESET;
		snprintf(t->verdict.words, sizeof(t->verdict.words), "%s: the connection was cut",
			during);
	} else {
		const char *said = tls_peer_said(reason), *text = ERR_reason_error_string(code);
		rc = reason == ERR_R_MALLOC_FAILURE ? -ENOMEM : ERR_TLS;
		if (said)
			snprintf(t->verdict.words, sizeof(t->verdict.words), "%s", said);
		else
			snprintf(t->verdict.words, sizeof(t->verdict.words), "%s: %s", during,
				text ? text : "TLS failed");
	}
	ERR_clear_error();
	return rc;
}

/* --- judging the peer */

int tls_new_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls *t = container_of(SSL_get_app_data(ssl), struct tls, verdict);
	tls_identity_keep_session(t->id, t->address, session);
	return 1; /* the reference is taken */
}

/* A resumed session carries the certificate of the full handshake, which nobody has judged since. */
static int judge_resumed(struct tls *t)
{
	X509 *cert = SSL_get0_peer_certificate(t->ssl);
	if (cert && tls_role_fits(&t->verdict, cert)) {
		if (x509_ends_s(cert) > (int64_t)time(NULL))
			return 0;
		tls_certificate_words(&t->verdict, cert, X509_V_ERR_CERT_HAS_EXPIRED);
	}
	t->failed = true;
	return ERR_TLS;
}

int tls_handshake(struct tls *t)
{
	ERR_clear_error();
	int rc = SSL_do_handshake(t->ssl);
	if (rc == 1)
		return SSL_session_reused(t->ssl) ? judge_resumed(t) : 0;
	if (SSL_get_error(t->ssl, rc) == SSL_ERROR_WANT_READ)
		return -EAGAIN;
	return conversation_failed(t, "TLS handshake");
}

void tls_identify(const struct tls *t, struct channel_identity *ret_identity)
{
	X509 *cert = SSL_get0_peer_certificate(t->ssl);
	x509_name(cert, ret_identity->name);
	ret_identity->roles = x509_roles(cert);
}

bool tls_resumed(const struct tls *t)
{
	return SSL_session_reused(t->ssl);
}

const char *tls_cipher(const struct tls *t)
{
	return SSL_get_cipher_name(t->ssl);
}

/* --- bytes */

void tls_readable(struct tls *t)
{
	t->drained = false;
}

ssize_t tls_read(struct tls *t, void *to, size_t len)
{
	size_t n = 0;
	if (t->failed)
		return ERR_TLS;
	ERR_clear_error();
	int rc = SSL_read_ex(t->ssl, to, len, &n);
	if (rc == 1)
		return (ssize_t)n;
	switch (SSL_get_error(t->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		return conversation_failed(t, "receiving");
	}
}

ssize_t tls_write(struct tls *t, const void *from, size_t len)
{
	const uint8_t *data = from;
	size_t taken = 0;
	if (t->failed)
		return ERR_TLS;
	ERR_clear_error();
	while (taken < len && tls_unsent(t) < TLS_WRITE_BYTES) {
		size_t n = 0, piece = len - taken < RECORD ? len - taken : RECORD;
		if (++t->records % t->rekey_records == 0)
			(void)SSL_key_update(t->ssl,
				SSL_KEY_UPDATE_NOT_REQUESTED); /* fails only before the handshake */
		if (SSL_write_ex(t->ssl, data + taken, piece, &n) != 1)
			return conversation_failed(t, "sending");
		taken += n;
	}
	return (ssize_t)taken;
}

void tls_say_end(struct tls *t)
{
	if (t->failed || (SSL_get_shutdown(t->ssl) & SSL_SENT_SHUTDOWN))
		return;
	(void)SSL_shutdown(t->ssl); /* 0: ours is written, the peer's is not waited for */
	ERR_clear_error();
}

int tls_flush(struct tls *t)
{
	while (t->out_at < t->out_len) {
		ssize_t n = send(t->fd, t->out + t->out_at, t->out_len - t->out_at, MSG_NOSIGNAL);
		if (n >= 0) {
			t->out_at += (size_t)n;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			return -EAGAIN;
		} else if (errno != EINTR) {
			int rc = t->io_error = -errno;
			t->failed = true;
			snprintf(t->verdict.words, sizeof(t->verdict.words), "sending: %s",
				strerror(errno));
			return rc;
		}
	}
	free(t->out);
	t->out = NULL;
	t->out_at = t->out_len = t->out_size = 0;
	return 0;
}

size_t tls_unsent(const struct tls *t)
{
	return t->out_len - t->out_at;
}
