/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C (Castagnoli, polynomial 0x1EDC6F41 reflected, as in RFC 3720 appendix B.4). */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Continues `crc` (0 to begin) over `len` bytes: crc32c(crc32c(0, a), b) is the checksum of a
 * followed by b. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);
/* The checksum of `len` zero bytes appended to bytes whose checksum is `crc`. */
uint32_t crc32c_zeros(uint32_t crc, size_t len);
