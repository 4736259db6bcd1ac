/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a peer's certificate is accepted, and why not, in words for the person who has to mend
 * it. */
#include <stdio.h>

#include <openssl/err.h>

#include "base/timetext.h"
#include "proto/pki_x509.h"
#include "proto/tls_identity.h"

const char *tls_peer_said(int reason)
{
	switch (reason) {
	case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
		return "the peer refused our certificate: its CA is not trusted there";
	case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
		return "the peer refused our certificate: it has expired, or a clock is wrong";
	case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
		return "the peer refused our certificate: it is revoked";
	case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
	case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
		return "the peer refused our certificate";
	case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
		return "the peer refused our certificate: its role may not do this, or no cipher "
		       "is shared";
	case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
		return "the peer asks for a certificate and got none";
	case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
	case SSL_R_UNSUPPORTED_PROTOCOL:
		return "the peer does not speak TLS 1.3";
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_HTTP_REQUEST:
		return "the peer does not speak TLS";
	case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
		return "the peer has no certificate";
	default:
		return NULL;
	}
}

void tls_certificate_words(struct tls_verdict *v, X509 *cert, int error)
{
	char name[128] = "", date[TIMETEXT_MAX] = "";
	if (cert) {
		x509_name(cert, name);
		timetext_format((struct wall){x509_ends_s(cert) * US_PER_SECOND}, false, date);
	}
	switch (error) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		snprintf(v->words, sizeof(v->words), "the certificate of \"%s\" has expired on %s",
			name, date);
		break;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		snprintf(v->words, sizeof(v->words),
			"the certificate of \"%s\" is not valid yet; is this machine's clock "
			"right?",
			name);
		break;
	case X509_V_ERR_CERT_REVOKED:
		snprintf(v->words, sizeof(v->words), "the certificate of \"%s\" is revoked", name);
		break;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
		snprintf(v->words, sizeof(v->words),
			"the certificate of \"%s\" is from a CA that is not trusted here", name);
		break;
	default:
		snprintf(v->words, sizeof(v->words),
			"the certificate of \"%s\" is not accepted: %s", name,
			X509_verify_cert_error_string(error));
	}
}

bool tls_role_fits(struct tls_verdict *v, X509 *cert)
{
	unsigned roles = x509_roles(cert);
	if (v->expect_roles ? roles & v->expect_roles : roles)
		return true;
	char name[128], has[CHANNEL_ROLES_TEXT], wanted[CHANNEL_ROLES_TEXT];
	x509_name(cert, name);
	channel_roles_text(roles, has);
	channel_roles_text(v->expect_roles, wanted);
	if (roles)
		snprintf(v->words, sizeof(v->words),
			"the certificate of \"%s\" has the role %s where %s is needed", name, has,
			wanted);
	else
		snprintf(v->words, sizeof(v->words),
			"the certificate of \"%s\" has no role (no URI \"steppe:role:...\")", name);
	return false;
}

/* OpenSSL asks for each certificate of the chain, with its own opinion. A revocation list that is
 * missing for an issuer, or older than its own next date, still counts for what it names: it must
 * not stop a cluster. */
int tls_judge_certificate(int preverified, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_verdict *v = SSL_get_app_data(ssl);
	X509 *cert = X509_STORE_CTX_get_current_cert(store);
	if (!preverified) {
		int error = X509_STORE_CTX_get_error(store);
		if (error != X509_V_ERR_UNABLE_TO_GET_CRL && error != X509_V_ERR_CRL_HAS_EXPIRED &&
			error != X509_V_ERR_CRL_NOT_YET_VALID) {
			tls_certificate_words(v, cert, error);
			return 0;
		}
		X509_STORE_CTX_set_error(store, X509_V_OK);
		return 1;
	}
	if (X509_STORE_CTX_get_error_depth(store) == 0 && !tls_role_fits(v, cert)) {
		X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
		return 0;
	}
	return 1;
}
