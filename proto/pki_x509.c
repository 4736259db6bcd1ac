/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/pki_x509.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/errors.h"
#include "proto/channel.h"

#define ROLE_URI     "steppe:role:"
#define SERIAL_BYTES 16
/* A list that ran out would stop every handshake of a cluster whose administrator is on leave; what
 * it names stays revoked. */
#define CRL_DAYS 3650

struct x509_signer {
	X509 *cert;
	EVP_PKEY *key;
};

/* OpenSSL's reasons are dropped: the words for people come from what was being done. */
static int failed(void)
{
	int rc = ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE ? -ENOMEM : ERR_TLS;
	ERR_clear_error();
	return rc;
}

/* --- PEM */

static int take_text(BIO *mem, char **ret_text)
{
	char *data;
	long len = BIO_get_mem_data(mem, &data);
	char *text = strndup(data, (size_t)len);
	if (!text)
		return -ENOMEM;
	*ret_text = text;
	return 0;
}

static EVP_PKEY *key_of(const char *pem)
{
	BIO *mem = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = mem ? PEM_read_bio_PrivateKey(mem, NULL, NULL, NULL) : NULL;
	BIO_free(mem);
	return key;
}

static X509 *cert_of(const char *pem)
{
	BIO *mem = BIO_new_mem_buf(pem, -1);
	X509 *cert = mem ? PEM_read_bio_X509(mem, NULL, NULL, NULL) : NULL;
	BIO_free(mem);
	return cert;
}

static int cert_text(X509 *cert, char **ret_pem)
{
	BIO *mem = BIO_new(BIO_s_mem());
	int rc = mem && PEM_write_bio_X509(mem, cert) ? take_text(mem, ret_pem) : failed();
	BIO_free(mem);
	return rc;
}

int x509_key_new(char **ret_key_pem)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	BIO *mem = BIO_new(BIO_s_mem());
	int rc;
	if (key && mem && PEM_write_bio_PKCS8PrivateKey(mem, key, NULL, NULL, 0, NULL, NULL))
		rc = take_text(mem, ret_key_pem);
	else
		rc = failed();
	BIO_free(mem);
	EVP_PKEY_free(key);
	return rc;
}

/* --- making certificates */

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	bool done = extension && X509_add_ext(cert, extension, -1);
	X509_EXTENSION_free(extension);
	return done;
}

static bool set_random_serial(X509 *cert)
{
	unsigned char raw[SERIAL_BYTES];
	if (RAND_bytes(raw, sizeof(raw)) != 1)
		return false;
	raw[0] &= 0x7f; /* positive, and never shorter than its bytes */
	raw[0] |= 0x40;
	BIGNUM *number = BN_bin2bn(raw, sizeof(raw), NULL);
	bool done = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));
	BN_free(number);
	return done;
}

/* An unsigned version 3 certificate for `key`; NULL when OpenSSL fails. */
static X509 *draft(const char *common_name, EVP_PKEY *key, int64_t from_s, int64_t to_s)
{
	X509 *cert = X509_new();
	time_t from = (time_t)from_s, to = (time_t)to_s;
	if (cert && X509_set_version(cert, X509_VERSION_3) && set_random_serial(cert) &&
		ASN1_TIME_set(X509_getm_notBefore(cert), from) &&
		ASN1_TIME_set(X509_getm_notAfter(cert), to) && X509_set_pubkey(cert, key) &&
		X509_NAME_add_entry_by_NID(X509_get_subject_name(cert), NID_commonName,
			MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1, 0))
		return cert;
	X509_free(cert);
	return NULL;
}

int x509_signer_new(const char *common_name, const char *key_pem, int64_t from_s, int64_t to_s,
	struct x509_signer **ret_signer)
{
	struct x509_signer *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->key = key_of(key_pem);
	s->cert = s->key ? draft(common_name, s->key, from_s, to_s) : NULL;
	X509 *cert = s->cert;
	if (cert && X509_set_issuer_name(cert, X509_get_subject_name(cert)) &&
		add_extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
		add_extension(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") &&
		add_extension(cert, cert, NID_subject_key_identifier, "hash") &&
		X509_sign(cert, s->key, EVP_sha256())) {
		*ret_signer = s;
		return 0;
	}
	int rc = s->key ? failed() : ERR_FORMAT;
	x509_signer_free(&s);
	return rc;
}

int x509_signer_load(const char *cert_pem, const char *key_pem, struct x509_signer **ret_signer)
{
	struct x509_signer *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->cert = cert_of(cert_pem);
	s->key = key_of(key_pem);
	if (s->cert && s->key && X509_check_private_key(s->cert, s->key)) {
		*ret_signer = s;
		return 0;
	}
	ERR_clear_error();
	x509_signer_free(&s);
	return ERR_FORMAT;
}

void x509_signer_free(struct x509_signer **slot)
{
	struct x509_signer *s = *slot;
	*slot = NULL;
	if (!s)
		return;
	X509_free(s->cert);
	EVP_PKEY_free(s->key);
	free(s);
}

int x509_signer_pem(const struct x509_signer *s, char **ret_cert_pem)
{
	return cert_text(s->cert, ret_cert_pem);
}

int64_t x509_signer_ends_s(const struct x509_signer *s)
{
	return x509_ends_s(s->cert);
}

/* "DNS:..." and "IP:..." and the roles as URIs; OpenSSL's own notation for the extension. */
static char *alternative_names(const struct x509_leaf *leaf)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	if (!out)
		return NULL;
	const char *separator = "";
	for (unsigned bit = 1; bit <= ROLE_ADMIN; bit <<= 1) {
		if (!(leaf->roles & bit))
			continue;
		char word[CHANNEL_ROLES_TEXT];
		channel_roles_text(bit, word);
		fprintf(out, "%sURI:" ROLE_URI "%s", separator, word);
		separator = ",";
	}
	for (const char *const *host = leaf->hosts; host && *host; host++) {
		ASN1_OCTET_STRING *address = a2i_IPADDRESS(*host);
		fprintf(out, "%s%s:%s", separator, address ? "IP" : "DNS", *host);
		ASN1_OCTET_STRING_free(address);
		separator = ",";
	}
	ERR_clear_error();
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static bool serial_text(const ASN1_INTEGER *serial, char text[X509_SERIAL_MAX])
{
	BIGNUM *number = ASN1_INTEGER_to_BN(serial, NULL);
	char *hex = number ? BN_bn2hex(number) : NULL;
	bool fits = hex && strlen(hex) < X509_SERIAL_MAX;
	if (fits) {
		size_t i = 0;
		for (; hex[i]; i++)
			text[i] = (char)tolower((unsigned char)hex[i]);
		text[i] = '\0';
	}
	OPENSSL_free(hex);
	BN_free(number);
	return fits;
}

int x509_sign_leaf(const struct x509_signer *signer, const struct x509_leaf *leaf,
	const char *key_pem, char ret_serial[X509_SERIAL_MAX], char **ret_cert_pem)
{
	char *names = alternative_names(leaf);
	if (!names)
		return -ENOMEM;
	EVP_PKEY *key = key_of(key_pem);
	X509 *cert = key ? draft(leaf->name, key, leaf->from_s, leaf->to_s) : NULL;
	X509 *ca = signer->cert;
	char serial[X509_SERIAL_MAX];
	int rc;
	if (cert && X509_set_issuer_name(cert, X509_get_subject_name(ca)) &&
		add_extension(cert, ca, NID_basic_constraints, "critical,CA:FALSE") &&
		add_extension(cert, ca, NID_key_usage, "critical,digitalSignature") &&
		add_extension(cert, ca, NID_ext_key_usage, "serverAuth,clientAuth") &&
		add_extension(cert, ca, NID_subject_key_identifier, "hash") &&
		add_extension(cert, ca, NID_authority_key_identifier, "keyid") &&
		add_extension(cert, ca, NID_subject_alt_name, names) &&
		X509_sign(cert, signer->key, EVP_sha256()) &&
		serial_text(X509_get0_serialNumber(cert), serial))
		rc = cert_text(cert, ret_cert_pem);
	else
		rc = key ? failed() : ERR_FORMAT;
	if (rc == 0)
		memcpy(ret_serial, serial, sizeof(serial));
	ERR_clear_error();
	X509_free(cert);
	EVP_PKEY_free(key);
	free(names);
	return rc;
}

/* --- revocation */

static bool add_revoked(X509_CRL *crl, const struct x509_revoked *what)
{
	X509_REVOKED *entry = X509_REVOKED_new();
	BIGNUM *number = NULL;
	ASN1_INTEGER *serial = NULL;
	ASN1_TIME *at = ASN1_TIME_set(NULL, (time_t)what->at_s);
	bool done = entry && at && BN_hex2bn(&number, what->serial) &&
		    (serial = BN_to_ASN1_INTEGER(number, NULL)) &&
		    X509_REVOKED_set_serialNumber(entry, serial) &&
		    X509_REVOKED_set_revocationDate(entry, at) && X509_CRL_add0_revoked(crl, entry);
	if (!done)
		X509_REVOKED_free(entry); /* otherwise the list has it */
	ASN1_INTEGER_free(serial);
	ASN1_TIME_free(at);
	BN_free(number);
	return done;
}

static bool fill_crl(X509_CRL *crl, const struct x509_signer *signer, int64_t now_s)
{
	ASN1_TIME *now = ASN1_TIME_set(NULL, (time_t)now_s);
	ASN1_TIME *next = ASN1_TIME_set(NULL, (time_t)(now_s + INT64_C(86400) * CRL_DAYS));
	ASN1_INTEGER *number = ASN1_INTEGER_new();
	bool done = now && next && number && X509_CRL_set_version(crl, X509_CRL_VERSION_2) &&
		    X509_CRL_set_issuer_name(crl, X509_get_subject_name(signer->cert)) &&
		    X509_CRL_set1_lastUpdate(crl, now) && X509_CRL_set1_nextUpdate(crl, next) &&
		    ASN1_INTEGER_set_int64(number, now_s) &&
		    X509_CRL_add1_ext_i2d(crl, NID_crl_number, number, 0, 0);
	ASN1_TIME_free(now);
	ASN1_TIME_free(next);
	ASN1_INTEGER_free(number);
	return done;
}

int x509_sign_crl(const struct x509_signer *signer, const struct x509_revoked *revoked,
	size_t count, int64_t now_s, char **ret_crl_pem)
{
	X509_CRL *crl = X509_CRL_new();
	BIO *mem = BIO_new(BIO_s_mem());
	bool good = crl && mem && fill_crl(crl, signer, now_s);
	for (size_t i = 0; good && i < count; i++)
		good = add_revoked(crl, &revoked[i]);
	good = good && X509_CRL_sort(crl) && X509_CRL_sign(crl, signer->key, EVP_sha256()) &&
	       PEM_write_bio_X509_CRL(mem, crl);
	int rc = good ? take_text(mem, ret_crl_pem) : failed();
	BIO_free(mem);
	X509_CRL_free(crl);
	return rc;
}

/* --- reading certificates */

void x509_name(X509 *cert, char name[128])
{
	name[0] = '\0';
	X509_NAME *subject = X509_get_subject_name(cert);
	int len = X509_NAME_get_text_by_NID(subject, NID_commonName, name, 128);
	/* it goes into log lines and audit records as it is */
	for (int i = 0; i < len; i++)
		if (!isprint((unsigned char)name[i]) || name[i] == '"' || name[i] == '\\')
			len = -1;
	if (len < 0)
		name[0] = '\0';
}

unsigned x509_roles(X509 *cert)
{
	unsigned roles = 0;
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		if (name->type != GEN_URI)
			continue;
		const ASN1_IA5STRING *uri = name->d.uniformResourceIdentifier;
		size_t len = (size_t)ASN1_STRING_length(uri), prefix = strlen(ROLE_URI);
		char word[CHANNEL_ROLES_TEXT];
		if (len <= prefix || len - prefix >= sizeof(word) ||
			memcmp(ASN1_STRING_get0_data(uri), ROLE_URI, prefix) != 0)
			continue;
		memcpy(word, ASN1_STRING_get0_data(uri) + prefix, len - prefix);
		word[len - prefix] = '\0';
		/* an embedded NUL makes a shorter word, which must not pass for the role */
		if (strlen(word) == len - prefix)
			roles |= channel_role_of(word);
	}
	GENERAL_NAMES_free(names);
	return roles;
}

int64_t x509_ends_s(X509 *cert)
{
	struct tm tm;
	if (!ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm))
		return 0;
	return (int64_t)timegm(&tm);
}

/* The name as issue() takes it; NULL when it is of another kind (*ret_skip) or memory is short. */
static char *host_text(const GENERAL_NAME *name, bool *ret_skip)
{
	*ret_skip = false;
	if (name->type == GEN_DNS)
		return strndup((const char *)ASN1_STRING_get0_data(name->d.dNSName),
			(size_t)ASN1_STRING_length(name->d.dNSName));
	const unsigned char *a =
		name->type == GEN_IPADD ? ASN1_STRING_get0_data(name->d.iPAddress) : NULL;
	int len = a ? ASN1_STRING_length(name->d.iPAddress) : 0;
	char text[64];
	if (len == 4) {
		snprintf(text, sizeof(text), "%u.%u.%u.%u", a[0], a[1], a[2], a[3]);
	} else if (len == 16) {
		size_t at = 0;
		for (int i = 0; i < 16; i += 2)
			at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%x", i ? ":" : "",
				(unsigned)(a[i] << 8 | a[i + 1]));
	} else {
		*ret_skip = true;
		return NULL;
	}
	return strdup(text);
}

static int read_hosts(X509 *cert, char ***ret_hosts)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	int count = sk_GENERAL_NAME_num(names), at = 0, rc = 0; /* -1 for no names */
	char **hosts = calloc((size_t)(count > 0 ? count : 0) + 1, sizeof(*hosts));
	if (!hosts)
		rc = -ENOMEM;
	for (int i = 0; !rc && i < count; i++) {
		bool skip;
		hosts[at] = host_text(sk_GENERAL_NAME_value(names, i), &skip);
		if (hosts[at])
			at++;
		else if (!skip)
			rc = -ENOMEM;
	}
	GENERAL_NAMES_free(names);
	/* given on failure too: the facts own it */
	*ret_hosts = hosts;
	return rc;
}

int x509_read(const char *cert_pem, struct x509_facts *ret_facts)
{
	X509 *cert = cert_of(cert_pem);
	if (!cert) {
		ERR_clear_error();
		return ERR_FORMAT;
	}
	struct x509_facts facts = {.roles = x509_roles(cert), .to_s = x509_ends_s(cert)};
	x509_name(cert, facts.name);
	int rc = serial_text(X509_get0_serialNumber(cert), facts.serial) ? 0 : ERR_FORMAT;
	if (!rc)
		rc = read_hosts(cert, &facts.hosts);
	X509_free(cert);
	if (rc < 0)
		x509_facts_fini(&facts);
	else
		*ret_facts = facts;
	return rc;
}

void x509_facts_fini(struct x509_facts *facts)
{
	for (char **host = facts->hosts; host && *host; host++)
		free(*host);
	free(facts->hosts);
	facts->hosts = NULL;
}
