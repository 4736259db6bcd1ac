/* SPDX-License-Identifier: Apache-2.0 */
/* The index's tables: objects by name, blocks of small bodies by id, files to be removed. */
#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/errors.h"
#include "storaged/store/store_local_kv.h"
#include "storaged/store/store_local_kv_impl.h"

/* A key: the pool's number, for garbage the file's, then the name. */
struct key {
	MDB_val val;
	uint8_t bytes[2 + STORE_NAME_MAX];
};

static void key_of_object(struct key *k, int pool, const char *name)
{
	size_t len = strnlen(name, STORE_NAME_MAX);
	k->bytes[0] = (uint8_t)pool;
	memcpy(k->bytes + 1, name, len);
	k->val = (MDB_val){.mv_size = 1 + len, .mv_data = k->bytes};
}

static void key_of_garbage(struct key *k, int pool, const char *name, uint8_t file)
{
	size_t len = strnlen(name, STORE_NAME_MAX);
	k->bytes[0] = (uint8_t)pool;
	k->bytes[1] = file;
	memcpy(k->bytes + 2, name, len);
	k->val = (MDB_val){.mv_size = 2 + len, .mv_data = k->bytes};
}

static void key_of_block(struct key *k, uint64_t id, uint64_t number)
{
	struct bytes b = bytes_writer(k->bytes, sizeof(k->bytes));
	bytes_put_u64(&b, id);
	bytes_put_u32(&b, (uint32_t)number);
	k->val = (MDB_val){.mv_size = b.at, .mv_data = k->bytes};
}

int local_kv_get(struct local_kv *kv, MDB_txn *txn, int pool, const char *name,
	struct local_record *ret_record)
{
	struct key key;
	MDB_val value;
	key_of_object(&key, pool, name);
	int rc = local_kv_error(mdb_get(txn, kv->objects, &key.val, &value));
	return rc ? rc : local_record_decode(value.mv_data, value.mv_size, ret_record);
}

int local_kv_put(struct local_kv *kv, int pool, const char *name, const uint64_t *before,
	const struct local_record *after)
{
	struct key key;
	key_of_object(&key, pool, name);
	/* encoded before anything is put: what local_kv_get lent does not survive a change */
	MDB_val value = {.mv_size = local_record_encode(after, kv->value), .mv_data = kv->value};
	int rc = local_kv_error(mdb_put(kv->txn, kv->objects, &key.val, &value, 0));
	if (rc)
		return rc;
	struct local_space *space = &kv->now.pools[pool];
	space->bytes += after->size - (before ? *before : 0);
	space->objects += before ? 0 : 1;
	return 0;
}

int local_kv_remove(struct local_kv *kv, int pool, const char *name, uint64_t size)
{
	struct key key;
	key_of_object(&key, pool, name);
	int rc = local_kv_error(mdb_del(kv->txn, kv->objects, &key.val, NULL));
	if (rc)
		return rc;
	kv->now.pools[pool].bytes -= size;
	kv->now.pools[pool].objects--;
	return 0;
}

int local_kv_get_body(
	struct local_kv *kv, MDB_txn *txn, uint64_t id, uint64_t offset, struct buf *into)
{
	for (size_t done = 0; done < into->len;) {
		uint64_t at = offset + done;
		size_t from = at % LOCAL_BLOCK;
		struct key key;
		MDB_val value;
		key_of_block(&key, id, at / LOCAL_BLOCK);
		int rc = local_kv_error(mdb_get(txn, kv->blocks, &key.val, &value));
		if (rc || value.mv_size <= from)
			return rc && rc != -ENOENT ? rc : -EIO;
		size_t n = value.mv_size - from;
		if (n > into->len - done)
			n = into->len - done;
		memcpy(into->data + done, (const uint8_t *)value.mv_data + from, n);
		done += n;
	}
	return 0;
}

/* Bytes to be written, across parts. */
struct source {
	const struct slice *parts;
	size_t at; /* inside the first part */
};

static void source_take(struct source *s, uint8_t *to, size_t len)
{
	while (len) {
		size_t n = s->parts->len - s->at;
		if (n > len)
			n = len;
		if (n)
			memcpy(to, s->parts->data + s->at, n);
		to += n;
		len -= n;
		s->at += n;
		if (s->at == s->parts->len) {
			s->parts++;
			s->at = 0;
		}
	}
}

/* Writes `len` bytes at `from` of one block that has `old_len` now. */
static int put_block(struct local_kv *kv, struct key *key, size_t old_len, size_t from, size_t len,
	struct source *source)
{
	if (from || from + len < old_len) {
		MDB_val old;
		int rc = local_kv_error(mdb_get(kv->txn, kv->blocks, &key->val, &old));
		if (rc || old.mv_size != old_len)
			return rc && rc != -ENOENT ? rc : -EIO;
		memcpy(kv->block, old.mv_data, old_len);
	}
	source_take(source, kv->block + from, len);
	MDB_val value = {
		.mv_size = from + len > old_len ? from + len : old_len, .mv_data = kv->block};
	return local_kv_error(mdb_put(kv->txn, kv->blocks, &key->val, &value, 0));
}

/* Bytes that a body of `size` has in block `number`. */
static size_t block_len(uint64_t size, uint64_t number)
{
	uint64_t start = number * LOCAL_BLOCK;
	if (size <= start)
		return 0;
	return size - start < LOCAL_BLOCK ? (size_t)(size - start) : LOCAL_BLOCK;
}

int local_kv_put_body(struct local_kv *kv, const struct local_record *r, uint64_t offset,
	const struct slice *parts, size_t count)
{
	struct source source = {.parts = parts};
	uint64_t left = 0;
	for (size_t i = 0; i < count; i++)
		left += parts[i].len;
	while (left) {
		uint64_t number = offset / LOCAL_BLOCK;
		size_t from = offset % LOCAL_BLOCK;
		size_t len = LOCAL_BLOCK - from < left ? LOCAL_BLOCK - from : (size_t)left;
		struct key key;
		key_of_block(&key, r->id, number);
		int rc = put_block(kv, &key, block_len(r->size, number), from, len, &source);
		if (rc)
			return rc;
		offset += len;
		left -= len;
	}
	return 0;
}

int local_kv_cut_body(struct local_kv *kv, const struct local_record *r, uint64_t keep)
{
	for (uint64_t n = (keep + LOCAL_BLOCK - 1) / LOCAL_BLOCK; n * LOCAL_BLOCK < r->size; n++) {
		struct key key;
		key_of_block(&key, r->id, n);
		int rc = local_kv_error(mdb_del(kv->txn, kv->blocks, &key.val, NULL));
		if (rc)
			return rc == -ENOENT ? -EIO : rc;
	}
	return 0;
}

int local_kv_garbage_add(struct local_kv *kv, int pool, const char *name, uint8_t file)
{
	struct key key;
	MDB_val nothing = {.mv_size = 0, .mv_data = key.bytes};
	key_of_garbage(&key, pool, name, file);
	return local_kv_error(mdb_put(kv->txn, kv->garbage, &key.val, &nothing, 0));
}

int local_kv_garbage_drop(struct local_kv *kv, int pool, const char *name, uint8_t file)
{
	struct key key;
	key_of_garbage(&key, pool, name, file);
	int rc = local_kv_error(mdb_del(kv->txn, kv->garbage, &key.val, NULL));
	return rc == -ENOENT ? 0 : rc;
}

int local_kv_garbage_walk(struct local_kv *kv, MDB_txn *txn, struct local_kv_visit *visit)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	int rc = mdb_cursor_open(txn, kv->garbage, &cursor);
	if (rc)
		return local_kv_error(rc);
	while (!(rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))) {
		const uint8_t *k = key.mv_data;
		char name[STORE_NAME_MAX + 1];
		if (key.mv_size < 3 || key.mv_size > 2 + STORE_NAME_MAX ||
			k[0] >= STORE_POOLS_MAX) {
			rc = MDB_CORRUPTED;
			break;
		}
		memcpy(name, k + 2, key.mv_size - 2);
		name[key.mv_size - 2] = 0;
		if (!visit->each(visit, k[0], name, k[1]))
			break;
	}
	mdb_cursor_close(cursor);
	return rc == MDB_NOTFOUND ? 0 : local_kv_error(rc);
}

int local_kv_walk(struct local_kv *kv, MDB_txn *txn, const struct local_kv_range *range,
	struct local_kv_visit *visit)
{
	size_t prefix_len = strlen(range->prefix);
	MDB_cursor *cursor;
	MDB_val value;
	struct key start;
	int rc = mdb_cursor_open(txn, kv->objects, &cursor);
	if (rc)
		return local_kv_error(rc);
	key_of_object(&start, range->pool, *range->after ? range->after : range->prefix);
	MDB_val key = start.val;
	rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	for (; !rc; rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
		const uint8_t *k = key.mv_data;
		char name[STORE_NAME_MAX + 1];
		if (key.mv_size < 2 || key.mv_size > 1 + STORE_NAME_MAX || k[0] != range->pool)
			break;
		memcpy(name, k + 1, key.mv_size - 1);
		name[key.mv_size - 1] = 0;
		if (strncmp(name, range->prefix, prefix_len) != 0)
			break;
		struct local_record r;
		if (strcmp(name, range->after) == 0 ||
			local_record_decode(value.mv_data, value.mv_size, &r))
			continue;
		if (!visit->each(visit, range->pool, name, r.size))
			break;
	}
	mdb_cursor_close(cursor);
	return rc == MDB_NOTFOUND ? 0 : local_kv_error(rc);
}
