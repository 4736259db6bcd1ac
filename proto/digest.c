/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

#define SHA256_SIZE 32

/* Looked up once: finding an algorithm costs more than hashing a few kilobytes. NULL when it
 * failed. Never freed: digests are made on any thread until the process ends. */
static EVP_MD *sha256;
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;

static void sha256_fetch(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

void digest_start(struct digest *d)
{
	(void)pthread_once(&sha256_once, sha256_fetch); /* can only fail for a bad argument */
	d->context = sha256 ? EVP_MD_CTX_new() : NULL;
	if (d->context && EVP_DigestInit_ex2(d->context, sha256, NULL) != 1) {
		EVP_MD_CTX_free(d->context);
		d->context = NULL;
	}
}

void digest_add(struct digest *d, const void *data, size_t len)
{
	if (d->context && len && EVP_DigestUpdate(d->context, data, len) != 1) {
		EVP_MD_CTX_free(d->context);
		d->context = NULL;
	}
}

int digest_finish(struct digest *d, uint8_t ret_digest[32])
{
	uint8_t digest[SHA256_SIZE];
	int rc = d->context && EVP_DigestFinal_ex(d->context, digest, NULL) == 1 ? 0 : -ENOMEM;
	EVP_MD_CTX_free(d->context);
	d->context = NULL;
	if (rc == 0)
		memcpy(ret_digest, digest, SHA256_SIZE);
	else
		memset(ret_digest, 0, SHA256_SIZE);
	return rc;
}

int digest_of(const void *data, size_t len, uint8_t ret_digest[32])
{
	struct digest d;
	digest_start(&d);
	digest_add(&d, data, len);
	return digest_finish(&d, ret_digest);
}
