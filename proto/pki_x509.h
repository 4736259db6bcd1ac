/* SPDX-License-Identifier: Apache-2.0 */
/* Keys, certificates and revocation lists as PEM text: the OpenSSL half of pki.h, and what the TLS
 * link reads out of a peer's certificate. Touches no files. Instants are seconds since 1970 UTC.
 * Texts given are the caller's to free(). */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct x509_st; /* OpenSSL's X509 */
struct x509_signer;

#define X509_SERIAL_MAX 41 /* forty hexadecimal digits and a NUL */

/* All int functions: 0; -ENOMEM; ERR_FORMAT for text that is not what it should be; ERR_TLS when
 * OpenSSL fails otherwise. */

/* A new private key on P-256. */
int x509_key_new(char **ret_key_pem);

/* A root that signs itself, for the key `key_pem`. */
int x509_signer_new(const char *common_name, const char *key_pem, int64_t from_s, int64_t to_s,
	struct x509_signer **ret_signer);
/* An existing one; ERR_FORMAT also when key and certificate do not belong together. */
int x509_signer_load(const char *cert_pem, const char *key_pem, struct x509_signer **ret_signer);
void x509_signer_free(struct x509_signer **signer);
int x509_signer_pem(const struct x509_signer *signer, char **ret_cert_pem);
int64_t x509_signer_ends_s(const struct x509_signer *signer);

struct x509_leaf {
	const char *name;
	unsigned roles;           /* enum channel_role bits */
	const char *const *hosts; /* DNS names and addresses, NULL-terminated; or NULL */
	int64_t from_s, to_s;
};
/* A certificate for the key `key_pem` with a random serial number. */
int x509_sign_leaf(const struct x509_signer *signer, const struct x509_leaf *leaf,
	const char *key_pem, char ret_serial[X509_SERIAL_MAX], char **ret_cert_pem);

struct x509_revoked {
	char serial[X509_SERIAL_MAX];
	int64_t at_s;
};
int x509_sign_crl(const struct x509_signer *signer, const struct x509_revoked *revoked,
	size_t count, int64_t now_s, char **ret_crl_pem);

/* What a leaf says, to issue another like it. */
struct x509_facts {
	char serial[X509_SERIAL_MAX];
	char name[128];
	unsigned roles;
	int64_t to_s;
	char **hosts; /* NULL-terminated */
};
int x509_read(const char *cert_pem, struct x509_facts *ret_facts);
void x509_facts_fini(struct x509_facts *facts);

/* The common name (empty when there is none or it holds odd bytes) and the roles of a peer's
 * certificate. */
void x509_name(struct x509_st *cert, char name[128]);
unsigned x509_roles(struct x509_st *cert);
int64_t x509_ends_s(struct x509_st *cert);
