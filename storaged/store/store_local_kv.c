/* SPDX-License-Identifier: Apache-2.0 */
/* The index as a file: opening, writes, looks, growth. What is in it: store_local_index.c. */
#include "storaged/store/store_local_kv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/bytes.h"
#include "base/errors.h"
#include "storaged/store/store_local_kv_impl.h"

#define LEVEL     1
#define MAP_FIRST ((size_t)64 << 20)
#define MAP_SLACK ((size_t)32 << 20) /* beyond what the file has when it is opened */

/* 4 bytes of level, the store's id, next_id, then bytes and objects of each pool */
#define TOTALS_SIZE (4 + LOCAL_ID_SIZE + 8 + STORE_POOLS_MAX * 16)

static MDB_val totals_key(void)
{
	return (MDB_val){.mv_size = 6, .mv_data = (void *)(uintptr_t) "totals"};
}

int local_kv_error(int rc)
{
	switch (rc) {
	case 0:
		return 0;
	case MDB_NOTFOUND:
		return -ENOENT;
	case MDB_MAP_FULL:
		return ERR_LIMIT;
	case MDB_TXN_FULL:
	case MDB_READERS_FULL:
		return -ENOMEM;
	case MDB_VERSION_MISMATCH:
	case MDB_INVALID:
		return ERR_VERSION;
	default:
		return rc > 0 ? -rc : -EIO; /* a damaged file, or one that LMDB gave up */
	}
}

static int totals_decode(const MDB_val *value, struct local_kv *kv)
{
	struct bytes b = bytes_reader(value->mv_data, value->mv_size);
	uint32_t level = bytes_get_u32(&b);
	if (!b.error && level != LEVEL)
		return ERR_VERSION;
	bytes_get_copy(&b, kv->store_id, LOCAL_ID_SIZE);
	kv->now.next_id = bytes_get_u64(&b);
	for (int i = 0; i < STORE_POOLS_MAX; i++) {
		kv->now.pools[i].bytes = bytes_get_u64(&b);
		kv->now.pools[i].objects = bytes_get_u64(&b);
	}
	return b.error || bytes_left(&b) ? ERR_FORMAT : 0;
}

static int totals_put(struct local_kv *kv)
{
	uint8_t space[TOTALS_SIZE];
	struct bytes b = bytes_writer(space, sizeof(space));
	bytes_put_u32(&b, LEVEL);
	bytes_put(&b, kv->store_id, LOCAL_ID_SIZE);
	bytes_put_u64(&b, kv->now.next_id);
	for (int i = 0; i < STORE_POOLS_MAX; i++) {
		bytes_put_u64(&b, kv->now.pools[i].bytes);
		bytes_put_u64(&b, kv->now.pools[i].objects);
	}
	CHECK(!b.error && b.at == sizeof(space));
	MDB_val key = totals_key(), value = {.mv_size = sizeof(space), .mv_data = space};
	return local_kv_error(mdb_put(kv->txn, kv->state, &key, &value, 0));
}

int local_kv_get_space(struct local_kv *kv, MDB_txn *txn, int pool, struct local_space *ret_space)
{
	MDB_val key = totals_key(), value;
	int rc = local_kv_error(mdb_get(txn, kv->state, &key, &value));
	if (rc)
		return rc;
	struct bytes b = bytes_reader(value.mv_data, value.mv_size);
	bytes_skip(&b, TOTALS_SIZE - (size_t)(STORE_POOLS_MAX - pool) * 16);
	struct local_space space = {.bytes = bytes_get_u64(&b), .objects = bytes_get_u64(&b)};
	if (b.error)
		return b.error;
	*ret_space = space;
	return 0;
}

static int tables_in(struct local_kv *kv)
{
	static const char *const names[] = {"objects", "blocks", "garbage", "state"};
	MDB_dbi *const tables[] = {&kv->objects, &kv->blocks, &kv->garbage, &kv->state};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		int rc = mdb_dbi_open(kv->txn, names[i], MDB_CREATE, tables[i]);
		if (rc)
			return local_kv_error(rc);
	}
	MDB_val key = totals_key(), value;
	int rc = mdb_get(kv->txn, kv->state, &key, &value);
	if (!rc)
		return totals_decode(&value, kv);
	if (rc != MDB_NOTFOUND)
		return local_kv_error(rc);
	kv->now.next_id = 1;
	if (getrandom(kv->store_id, LOCAL_ID_SIZE, 0) != LOCAL_ID_SIZE)
		return -EIO;
	return totals_put(kv);
}

static int open_tables(struct local_kv *kv)
{
	int rc = local_kv_error(mdb_txn_begin(kv->env, NULL, 0, &kv->txn));
	if (rc)
		return rc;
	rc = tables_in(kv);
	if (rc) {
		local_kv_abort(kv);
		return rc;
	}
	/* a commit even when nothing was made: handles of tables do not outlive an aborted write */
	rc = local_kv_error(mdb_txn_commit(kv->txn));
	kv->txn = NULL;
	kv->committed = kv->now;
	return rc;
}

/* The map must hold the file as it is, with room to write. */
static int set_map(struct local_kv *kv)
{
	MDB_envinfo info;
	int rc = mdb_env_info(kv->env, &info);
	if (rc)
		return local_kv_error(rc);
	MDB_stat stat;
	rc = mdb_env_stat(kv->env, &stat);
	if (rc)
		return local_kv_error(rc);
	size_t used = (info.me_last_pgno + 1) * stat.ms_psize;
	kv->map_size = MAP_FIRST;
	while (kv->map_size < used + MAP_SLACK)
		kv->map_size *= 2;
	return local_kv_error(mdb_env_set_mapsize(kv->env, kv->map_size));
}

static int lock_init(pthread_rwlock_t *lock)
{
	/* lookers come all the time; the writer that must move the map may not wait for a pause */
	pthread_rwlockattr_t attr;
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	int rc = pthread_rwlock_init(lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	return -rc;
}

int local_kv_open(struct local_kv *kv, const char *path, char *why, size_t why_size)
{
	*kv = (struct local_kv){0};
	int rc = lock_init(&kv->map_lock);
	if (rc)
		goto fail;
	kv->map_lock_made = true;
	rc = local_kv_error(mdb_env_create(&kv->env));
	if (rc)
		goto fail;
	mdb_env_set_maxdbs(kv->env, 8);
	/* lookups are scattered: reading ahead would throw out what is needed */
	rc = local_kv_error(mdb_env_open(kv->env, path, MDB_NOSUBDIR | MDB_NORDAHEAD, 0640));
	if (!rc)
		rc = set_map(kv);
	if (!rc)
		rc = open_tables(kv);
	if (!rc)
		return 0;
fail:
	(void)snprintf(why, why_size, "cannot open the index %s: %s", path, err_text(rc));
	local_kv_close(kv);
	return rc;
}

void local_kv_close(struct local_kv *kv)
{
	if (kv->txn)
		local_kv_abort(kv);
	if (kv->env)
		mdb_env_close(kv->env);
	kv->env = NULL;
	if (kv->map_lock_made)
		pthread_rwlock_destroy(&kv->map_lock);
	kv->map_lock_made = false;
}

int local_kv_begin(struct local_kv *kv)
{
	kv->now = kv->committed;
	return local_kv_error(mdb_txn_begin(kv->env, NULL, 0, &kv->txn));
}

int local_kv_commit(struct local_kv *kv)
{
	int rc = totals_put(kv);
	if (rc) {
		local_kv_abort(kv);
		return rc;
	}
	rc = local_kv_error(mdb_txn_commit(kv->txn));
	kv->txn = NULL;
	if (!rc) {
		kv->committed = kv->now;
		return 0;
	}
	/* LMDB gives an environment up when the page that switches to the new state was written but
	 * perhaps not stored; any earlier failure left the old state in force, and the next write
	 * can begin */
	int probe = mdb_txn_begin(kv->env, NULL, 0, &kv->txn);
	if (probe)
		return ERR_UNKNOWN;
	local_kv_abort(kv);
	return rc;
}

void local_kv_abort(struct local_kv *kv)
{
	mdb_txn_abort(kv->txn);
	kv->txn = NULL;
	kv->now = kv->committed;
}

int local_kv_grow(struct local_kv *kv)
{
	CHECK(!kv->txn);
	pthread_rwlock_wrlock(&kv->map_lock);
	int rc = local_kv_error(mdb_env_set_mapsize(kv->env, 2 * kv->map_size));
	if (!rc)
		kv->map_size *= 2;
	pthread_rwlock_unlock(&kv->map_lock);
	return rc;
}

int local_kv_look(struct local_kv *kv, struct local_kv_look *ret_look)
{
	pthread_rwlock_rdlock(&kv->map_lock);
	struct local_kv_look look = {.kv = kv};
	int rc = local_kv_error(mdb_txn_begin(kv->env, NULL, MDB_RDONLY, &look.txn));
	if (rc) {
		pthread_rwlock_unlock(&kv->map_lock);
		return rc;
	}
	*ret_look = look;
	return 0;
}

void local_kv_look_end(struct local_kv_look *look)
{
	mdb_txn_abort(look->txn);
	pthread_rwlock_unlock(&look->kv->map_lock);
	look->txn = NULL;
}
