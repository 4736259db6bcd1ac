/* SPDX-License-Identifier: Apache-2.0 */
/* Steppe's own small certificate authority: P-256 keys, a root, leaf certificates with roles, a
 * revocation list; plain PEM files in one directory. Any CA will do in its place as long as leaves
 * carry the SAN URI "steppe:role:NAME". ca.crt ca.key (0600)   NAME.crt NAME.key (0600)   crl.pem
 * serials.txt (serial, name, role, not-after, state) Blocking; one process at a time on a directory
 * (another gets -EWOULDBLOCK). docs/operate/certificates.md. */
#pragma once

#include <stddef.h>

struct pki_issue {
	const char *name;         /* subject common name; [A-Za-z0-9._-]{1,64} */
	unsigned roles;           /* enum channel_role bits, at least one */
	int days;                 /* 0: 397 */
	const char *const *hosts; /* DNS names and addresses for nodes, NULL-terminated; NULL: for
				     nodes localhost, 127.0.0.1, ::1 */
};

/* All return 0 or a negative code with words for a person in `why`. Existing files are never
 * overwritten by init; issue and renew replace a leaf's files whole (write, fsync, rename). */
int pki_init(const char *dir, const char *cluster_name, char *why, size_t why_size);
int pki_issue(const char *dir, const struct pki_issue *what, char *why, size_t why_size);
/* A new certificate for the same name, roles, hosts and key; the old stays valid until it ends or
 * is revoked. */
int pki_renew(const char *dir, const char *name, int days, char *why, size_t why_size);
/* Adds every valid certificate of `name` to crl.pem; daemons read it at SIGHUP. */
int pki_revoke(const char *dir, const char *name, char *why, size_t why_size);
