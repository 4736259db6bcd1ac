/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/tls_identity.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

#include <openssl/err.h>
#include <openssl/x509.h>

#include "base/errors.h"
#include "proto/pki_x509.h"

#define READ_BUFFER                                                                                \
	(64u << 10) /* bytes asked of the kernel at once; held only while there is something in it \
		     */
#define SESSION_S                                                                                  \
	3600 /* a session is resumed no later; its certificate is still judged by its dates */

struct words {
	char *why;
	size_t size;
};

static int fail(struct words *w, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(struct words *w, int code, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(w->why, w->size, format, args);
	va_end(args);
	ERR_clear_error();
	return code;
}

/* A system's error is the first of OpenSSL's list, other things are said best by the last. */
static const char *reason(void)
{
	unsigned long first = ERR_peek_error();
	if (ERR_SYSTEM_ERROR(first))
		return strerror((int)ERR_GET_REASON(first));
	const char *text = ERR_reason_error_string(ERR_peek_last_error());
	return text ? text : "unknown reason";
}

static bool has_aes(void)
{
#if defined(__x86_64__) || defined(__i386__)
	return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
#elif defined(__aarch64__)
	return getauxval(AT_HWCAP) & (1 << 3);
#else
	return false;
#endif
}

/* What does not depend on files. AES-128 is preferred where the processor helps: it costs least per
 * byte. */
static bool configure(SSL_CTX *ctx)
{
	static const unsigned char context[] = "steppe";
	const char *suites = has_aes() ? "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_"
					 "CHACHA20_POLY1305_SHA256"
				       : "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:TLS_"
					 "AES_256_GCM_SHA384";
	SSL_CTX_set_options(ctx,
		SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_default_read_buffer_len(ctx, READ_BUFFER);
	SSL_CTX_set_verify(
		ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, tls_judge_certificate);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, tls_new_session);
	SSL_CTX_set_timeout(ctx, SESSION_S);
	return SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) &&
	       SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) &&
	       SSL_CTX_set_ciphersuites(ctx, suites) &&
	       SSL_CTX_set1_groups_list(ctx, "P-256:X25519") && SSL_CTX_set_num_tickets(ctx, 1) &&
	       SSL_CTX_set_session_id_context(ctx, context, sizeof(context) - 1);
}

static int load_own(SSL_CTX *ctx, const struct tls_files *files, struct words *w)
{
	if (SSL_CTX_use_certificate_chain_file(ctx, files->cert) != 1)
		return fail(w, ERR_TLS, "cannot use the certificate %s: %s", files->cert, reason());
	if (SSL_CTX_use_PrivateKey_file(ctx, files->key, SSL_FILETYPE_PEM) != 1)
		return fail(w, ERR_TLS, "cannot use the key %s: %s", files->key, reason());
	if (SSL_CTX_check_private_key(ctx) != 1)
		return fail(w, ERR_TLS, "the key %s does not belong to the certificate %s",
			files->key, files->cert);
	return 0;
}

static int load_trust(SSL_CTX *ctx, const struct tls_files *files, struct words *w)
{
	if (SSL_CTX_load_verify_file(ctx, files->ca) != 1)
		return fail(
			w, ERR_TLS, "cannot use the CA certificate %s: %s", files->ca, reason());
	if (!files->crl || access(files->crl, F_OK) < 0)
		return 0;
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
	if (!lookup || X509_load_crl_file(lookup, files->crl, X509_FILETYPE_PEM) <= 0)
		return fail(
			w, ERR_TLS, "cannot use the revocation list %s: %s", files->crl, reason());
	X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
	return 0;
}

int tls_identity_load(const struct tls_files *files, struct tls_identity **ret_identity, char *why,
	size_t why_size)
{
	struct words w = {why, why_size};
	ERR_clear_error();
	struct tls_identity *id = calloc(1, sizeof(*id));
	if (!id)
		return fail(&w, -ENOMEM, "memory is short");
	atomic_init(&id->refs, 1);
	pthread_mutex_init(&id->lock, NULL);
	id->ctx = SSL_CTX_new(TLS_method());
	id->wire = tls_wire_new();
	int rc = id->ctx && id->wire && configure(id->ctx)
			 ? 0
			 : fail(&w, -ENOMEM, "OpenSSL: %s", reason());
	if (!rc)
		rc = load_trust(id->ctx, files, &w);
	if (!rc)
		rc = load_own(id->ctx, files, &w);
	if (rc < 0)
		tls_identity_unref(&id);
	else
		*ret_identity = id;
	return rc;
}

void tls_identity_own(const struct tls_identity *id, struct tls_own *ret_own)
{
	X509 *cert = SSL_CTX_get0_certificate(id->ctx);
	x509_name(cert, ret_own->name);
	ret_own->roles = x509_roles(cert);
	ret_own->ends = (struct wall){x509_ends_s(cert) * US_PER_SECOND};
}

struct tls_identity *tls_identity_ref(struct tls_identity *id)
{
	atomic_fetch_add_explicit(&id->refs, 1, memory_order_relaxed);
	return id;
}

void tls_identity_unref(struct tls_identity **slot)
{
	struct tls_identity *id = *slot;
	*slot = NULL;
	if (!id || atomic_fetch_sub_explicit(&id->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (unsigned i = 0; i < TLS_SESSIONS; i++)
		SSL_SESSION_free(id->sessions[i].session);
	SSL_CTX_free(id->ctx);
	BIO_meth_free(id->wire);
	pthread_mutex_destroy(&id->lock);
	free(id);
}

/* --- sessions */

static struct tls_session *find_session(struct tls_identity *id, const char *address)
{
	for (unsigned i = 0; i < TLS_SESSIONS; i++)
		if (id->sessions[i].session && strcmp(id->sessions[i].address, address) == 0)
			return &id->sessions[i];
	return NULL;
}

SSL_SESSION *tls_identity_take_session(struct tls_identity *id, const char *address)
{
	pthread_mutex_lock(&id->lock);
	struct tls_session *slot = find_session(id, address);
	SSL_SESSION *session = slot ? slot->session : NULL;
	if (slot)
		slot->session = NULL;
	pthread_mutex_unlock(&id->lock);
	return session;
}

void tls_identity_keep_session(struct tls_identity *id, const char *address, SSL_SESSION *session)
{
	pthread_mutex_lock(&id->lock);
	struct tls_session *slot = find_session(id, address);
	for (unsigned i = 0; !slot && i < TLS_SESSIONS; i++)
		if (!id->sessions[i].session)
			slot = &id->sessions[i];
	if (!slot)
		slot = &id->sessions[id->next_session++ % TLS_SESSIONS];
	SSL_SESSION *before = slot->session;
	snprintf(slot->address, sizeof(slot->address), "%s", address);
	slot->session = session;
	pthread_mutex_unlock(&id->lock);
	SSL_SESSION_free(before);
}
