/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 (FIPS 180-4), by OpenSSL. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct digest {
	void *context; /* private; NULL after a failure, which then sticks */
};

/* Starts a digest; -ENOMEM sticks and shows at digest_finish. */
void digest_start(struct digest *d);
void digest_add(struct digest *d, const void *data, size_t len);
/* Ends it in any case: 0 and the 32 bytes, or a negative code and zeroes. */
int digest_finish(struct digest *d, uint8_t ret_digest[32]);
/* The digest of one range at once. */
int digest_of(const void *data, size_t len, uint8_t ret_digest[32]);
