/* SPDX-License-Identifier: Apache-2.0 */
/* Write order: a serial number is on disk before the certificate that bears it, and a revocation
 * before the list that announces it; each verb done again after a crash completes what was begun. */
#include "proto/pki.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/errors.h"
#include "base/timetext.h"
#include "proto/channel.h"
#include "proto/pki_files.h"

#define CA_DAYS         7305 /* twenty years */
#define DAYS_MAX        36525
#define LEAF_DAYS       397
#define DAY_S           INT64_C(86400)
#define EARLIER_S       3600 /* certificates begin an hour ago: clocks of recorders are not the best */
#define ISSUED_NAME_MAX 64

static bool name_is_valid(const char *name)
{
	size_t len = strlen(name);
	if (len == 0 || len > ISSUED_NAME_MAX || name[0] == '.')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("._-", name[i]))
			return false;
	/* the files of the authority itself */
	return strcmp(name, "ca") != 0;
}

/* A comma or a colon of the wrong kind would be read as another name, or another role. */
static bool host_is_valid(const char *host)
{
	size_t len = strlen(host);
	if (len == 0 || len > 253)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)host[i]) && !strchr(".-:*", host[i]))
			return false;
	return true;
}

static int out_of_memory_or(struct pki_dir *d, int rc, const char *what)
{
	return pki_fail(d, rc, "%s: %s", what, rc == -ENOMEM ? "memory is short" : err_text(rc));
}

static int load_signer(struct pki_dir *d, struct x509_signer **ret_signer)
{
	char *cert = NULL, *key = NULL;
	int rc = pki_file_read(d, "ca.crt", &cert);
	if (!rc)
		rc = pki_file_read(d, "ca.key", &key);
	if (rc == -ENOENT)
		pki_fail(d, rc,
			"there is no CA here: ca.crt or ca.key is missing; make one with `steppe "
			"pki init`");
	if (!rc) {
		rc = x509_signer_load(cert, key, ret_signer);
		if (rc < 0)
			pki_fail(d, rc, "ca.crt and ca.key are damaged or do not belong together");
	}
	free(cert);
	free(key);
	return rc;
}

/* --- init */

static int write_crl(
	struct pki_dir *d, const struct x509_signer *signer, const struct pki_rows *rows)
{
	int64_t now_s = (int64_t)time(NULL);
	struct x509_revoked *revoked = calloc(rows->count + 1, sizeof(*revoked));
	if (!revoked)
		return pki_fail(d, -ENOMEM, "memory is short");
	size_t count = 0;
	for (size_t i = 0; i < rows->count; i++) {
		const struct pki_row *row = &rows->rows[i];
		/* one that has ended is refused by itself; a day more for clocks that lag */
		if (!row->revoked || row->to_s + DAY_S < now_s)
			continue;
		memcpy(revoked[count].serial, row->serial, sizeof(row->serial));
		revoked[count++].at_s = row->revoked_at_s;
	}
	char *pem = NULL;
	int rc = x509_sign_crl(signer, revoked, count, now_s, &pem);
	rc = rc < 0 ? out_of_memory_or(d, rc, "cannot sign the revocation list")
		    : pki_file_write(d, "crl.pem", 0644, pem);
	free(pem);
	free(revoked);
	return rc;
}

/* A key without a certificate is what a crash of an earlier init left: it goes on from there. */
static int init_key(struct pki_dir *d, char **ret_key)
{
	int rc = pki_file_read(d, "ca.key", ret_key);
	if (rc != -ENOENT)
		return rc;
	char *key = NULL;
	rc = x509_key_new(&key);
	rc = rc < 0 ? out_of_memory_or(d, rc, "cannot make a key")
		    : pki_file_write(d, "ca.key", 0600, key);
	if (rc < 0)
		free(key);
	else
		*ret_key = key;
	return rc;
}

static int init_in(struct pki_dir *d, const char *dir, const char *cluster_name)
{
	if (pki_file_exists(d, "ca.crt"))
		return pki_fail(d, -EEXIST, "%s holds a CA already", dir);
	int64_t now_s = (int64_t)time(NULL);
	char common_name[128], *key = NULL, *cert = NULL;
	struct x509_signer *signer = NULL;
	struct pki_rows rows = {0};
	snprintf(common_name, sizeof(common_name), "Steppe CA %.60s", cluster_name);
	int rc = init_key(d, &key);
	if (!rc && (rc = x509_signer_new(
			    common_name, key, now_s - DAY_S, now_s + CA_DAYS * DAY_S, &signer)) < 0)
		out_of_memory_or(d, rc, "cannot make the CA's certificate");
	if (!rc)
		rc = pki_rows_write(d, &rows);
	if (!rc)
		rc = write_crl(d, signer, &rows);
	/* last: with it the authority exists */
	if (!rc && (rc = x509_signer_pem(signer, &cert)) < 0)
		out_of_memory_or(d, rc, "cannot write the CA's certificate");
	if (!rc)
		rc = pki_file_write(d, "ca.crt", 0644, cert);
	x509_signer_free(&signer);
	free(cert);
	free(key);
	return rc;
}

int pki_init(const char *dir, const char *cluster_name, char *why, size_t why_size)
{
	struct pki_dir d;
	int rc = pki_dir_open(&d, dir, true, why, why_size);
	if (rc < 0)
		return rc;
	rc = init_in(&d, dir, cluster_name);
	pki_dir_close(&d);
	return rc;
}

/* --- leaves */

struct leaf_job {
	struct x509_leaf leaf;
	const char *key; /* the leaf's key */
	bool new_key;    /* it is not on disk yet */
};

/* Signs, then writes: serial, key, certificate. */
static int sign_and_write(
	struct pki_dir *d, const struct x509_signer *signer, const struct leaf_job *job)
{
	struct pki_row row = {.roles = job->leaf.roles, .to_s = job->leaf.to_s};
	struct pki_rows rows = {0};
	char *cert = NULL, file[80];
	snprintf(row.name, sizeof(row.name), "%s", job->leaf.name);
	int rc = x509_sign_leaf(signer, &job->leaf, job->key, row.serial, &cert);
	if (rc < 0)
		return out_of_memory_or(d, rc, "cannot sign the certificate");
	rc = pki_rows_read(d, &rows);
	if (!rc && (rc = pki_rows_add(&rows, &row)) < 0)
		pki_fail(d, rc, "memory is short");
	if (!rc)
		rc = pki_rows_write(d, &rows);
	if (!rc && job->new_key) {
		snprintf(file, sizeof(file), "%s.key", job->leaf.name);
		rc = pki_file_write(d, file, 0600, job->key);
	}
	if (!rc) {
		snprintf(file, sizeof(file), "%s.crt", job->leaf.name);
		rc = pki_file_write(d, file, 0644, cert);
	}
	pki_rows_fini(&rows);
	free(cert);
	return rc;
}

static int set_validity(
	struct pki_dir *d, const struct x509_signer *signer, int days, struct x509_leaf *leaf)
{
	if (days < 0 || days > DAYS_MAX)
		return pki_fail(d, -EINVAL, "a certificate lasts from 1 to %d days", DAYS_MAX);
	int64_t now_s = (int64_t)time(NULL), ends_s = x509_signer_ends_s(signer);
	leaf->from_s = now_s - EARLIER_S;
	leaf->to_s = now_s + DAY_S * (days ? days : LEAF_DAYS);
	if (leaf->to_s > ends_s) {
		char text[TIMETEXT_MAX];
		timetext_format((struct wall){ends_s * US_PER_SECOND}, false, text);
		return pki_fail(d, -EINVAL, "the CA itself ends on %s", text);
	}
	return 0;
}

static int issue_in(struct pki_dir *d, const struct pki_issue *what)
{
	static const char *const local[] = {"localhost", "127.0.0.1", "::1", NULL};
	struct leaf_job job = {
		.leaf = {.name = what->name, .roles = what->roles, .hosts = what->hosts},
		.new_key = true};
	if (!what->hosts && (what->roles & ROLE_NODE))
		job.leaf.hosts = local;
	struct x509_signer *signer = NULL;
	char *key = NULL;
	int rc = load_signer(d, &signer);
	if (!rc)
		rc = set_validity(d, signer, what->days, &job.leaf);
	if (!rc && (rc = x509_key_new(&key)) < 0)
		out_of_memory_or(d, rc, "cannot make a key");
	if (!rc) {
		job.key = key;
		rc = sign_and_write(d, signer, &job);
	}
	x509_signer_free(&signer);
	free(key);
	return rc;
}

int pki_issue(const char *dir, const struct pki_issue *what, char *why, size_t why_size)
{
	struct pki_dir d = {.fd = -1, .why = why, .why_size = why_size};
	if (!name_is_valid(what->name))
		return pki_fail(&d, -EINVAL,
			"\"%.80s\" is not a name: letters, digits, '.', '_', '-', at most 64, and "
			"not \"ca\"",
			what->name);
	if (!what->roles)
		return pki_fail(&d, -EINVAL,
			"a certificate needs a role: node, recorder, investigator or admin");
	for (const char *const *host = what->hosts; host && *host; host++)
		if (!host_is_valid(*host))
			return pki_fail(&d, -EINVAL,
				"\"%.80s\" is neither a host name nor an address", *host);
	int rc = pki_dir_open(&d, dir, false, why, why_size);
	if (rc < 0)
		return rc;
	rc = issue_in(&d, what);
	pki_dir_close(&d);
	return rc;
}

/* The same key: only one file changes, so a crash cannot part the key from its certificate. */
static int renew_in(struct pki_dir *d, const char *name, int days)
{
	struct x509_signer *signer = NULL;
	struct x509_facts facts = {0};
	char *cert = NULL, *key = NULL, file[80];
	snprintf(file, sizeof(file), "%s.crt", name);
	int rc = pki_file_read(d, file, &cert);
	if (!rc) {
		snprintf(file, sizeof(file), "%s.key", name);
		rc = pki_file_read(d, file, &key);
	}
	if (rc == -ENOENT)
		pki_fail(d, rc, "%s is not there: only what this CA issued can be renewed", file);
	if (!rc && (rc = x509_read(cert, &facts)) < 0)
		pki_fail(d, rc, "%s.crt is damaged; issue a new one", name);
	if (!rc)
		rc = load_signer(d, &signer);
	struct leaf_job job = {.leaf = {.name = name,
				       .roles = facts.roles,
				       .hosts = (const char *const *)facts.hosts},
		.key = key};
	if (!rc)
		rc = set_validity(d, signer, days, &job.leaf);
	if (!rc)
		rc = sign_and_write(d, signer, &job);
	x509_facts_fini(&facts);
	x509_signer_free(&signer);
	free(cert);
	free(key);
	return rc;
}

int pki_renew(const char *dir, const char *name, int days, char *why, size_t why_size)
{
	struct pki_dir d = {.fd = -1, .why = why, .why_size = why_size};
	if (!name_is_valid(name))
		return pki_fail(&d, -EINVAL, "\"%.80s\" is not a name", name);
	int rc = pki_dir_open(&d, dir, false, why, why_size);
	if (rc < 0)
		return rc;
	rc = renew_in(&d, name, days);
	pki_dir_close(&d);
	return rc;
}

/* --- revocation */

static int revoke_in(struct pki_dir *d, const char *name)
{
	struct x509_signer *signer = NULL;
	struct pki_rows rows = {0};
	bool known = false;
	int rc = load_signer(d, &signer);
	if (!rc)
		rc = pki_rows_read(d, &rows);
	for (size_t i = 0; !rc && i < rows.count; i++) {
		struct pki_row *row = &rows.rows[i];
		if (strcmp(row->name, name) != 0)
			continue;
		known = true;
		if (row->revoked)
			continue;
		row->revoked = true;
		row->revoked_at_s = (int64_t)time(NULL);
	}
	if (!rc && !known)
		rc = pki_fail(d, -ENOENT, "this CA never issued a certificate for %s", name);
	if (!rc)
		rc = pki_rows_write(d, &rows);
	/* also when nothing was new: an earlier revocation may have been cut short here */
	if (!rc)
		rc = write_crl(d, signer, &rows);
	pki_rows_fini(&rows);
	x509_signer_free(&signer);
	return rc;
}

int pki_revoke(const char *dir, const char *name, char *why, size_t why_size)
{
	struct pki_dir d = {.fd = -1, .why = why, .why_size = why_size};
	if (!name_is_valid(name))
		return pki_fail(&d, -EINVAL, "\"%.80s\" is not a name", name);
	int rc = pki_dir_open(&d, dir, false, why, why_size);
	if (rc < 0)
		return rc;
	rc = revoke_in(&d, name);
	pki_dir_close(&d);
	return rc;
}
