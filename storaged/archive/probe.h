/* SPDX-License-Identifier: Apache-2.0 */
/* Looks at one chunk object, as closely as is asked: what fsck reports and what a rebuild makes
 * records of. Reads only. Loop thread only.
 *
 *	PROBE_ATTRS    its attributes and size: one stat
 *	PROBE_TABLES   and header, init segment, seal and tables: two reads more; of a chunk that is
 * open or damaged there, all of it PROBE_DEEP     every byte: checksums, and SHA-256 of every
 * fragment */
#pragma once

#include "storaged/archive/attrs.h"
#include "storaged/archive/chunk_survey.h"
#include "storaged/archive/index.h"

enum probe_level { PROBE_ATTRS = 1, PROBE_TABLES = 2, PROBE_DEEP = 3 };

struct probe {
	/* set by the user, the rest zero */
	struct store *store;
	const char *stream;
	struct chunk_id id;
	int pool;
	enum probe_level level;
	const struct index_record
		*expected; /* where header and seal are, if that is known; may be NULL */
	void (*done)(struct probe *p); /* once, later */
	/* Something is wrong inside the chunk, with the time of what is lost when that is known
	 * (else 0, 0). May be NULL. */
	void (*wrong)(struct probe *p, const char *what, struct wall from, struct wall to);
	/* result */
	int status; /* 0 (the object was read, whatever it holds), -ENOENT, -EIO, -ENOMEM ... */
	uint64_t size;
	struct chunk_attrs attrs;
	bool attrs_known;
	uint64_t bytes_read;
	/* of PROBE_TABLES and on */
	bool head_known;
	struct chunk_header header;
	struct chunk_seal seal; /* as stored when sealed, else made of what was found */
	bool sealed;            /* the seal is whole */
	bool record_known; /* of a chunk with a whole seal, or a sealed one of which fragments were
			      found */
	struct index_record record;
	uint64_t session, last_seq; /* of its fragments; 0: none */
	/* private */
	char name[STORE_NAME_MAX + 1];
	struct store_read read;
	struct buf *tail;
	uint64_t tail_at;
};
void probe_start(struct probe *p);
