/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing the local store: its url, its directories, its index, its threads. */
#include "storaged/store/store_local_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/errors.h"

#define OPEN_MAX 2048 /* files open for writing */

static void stop_threads(struct local_backend *b)
{
	pthread_mutex_lock(&b->lock);
	b->closing = true;
	pthread_cond_broadcast(&b->write_waits);
	pthread_cond_broadcast(&b->look_waits);
	pthread_mutex_unlock(&b->lock);
	if (b->writer_runs)
		pthread_join(b->writer, NULL);
	for (int i = 0; i < b->reader_count; i++)
		pthread_join(b->readers[i], NULL);
}

static void local_close(struct store_backend *backend)
{
	struct local_backend *b = container_of(backend, struct local_backend, backend);
	CHECK(b->store_count == 0);
	stop_threads(b);
	local_files_fini(&b->batch.files);
	local_kv_close(&b->batch.kv);
	for (int i = 0; i < STORE_POOLS_MAX; i++)
		local_home_close(&b->batch.homes[i]);
	pthread_cond_destroy(&b->look_waits);
	pthread_cond_destroy(&b->write_waits);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

/* Signals are the main thread's: none may land on these. */
static int start_threads(struct local_backend *b)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = pthread_create(&b->writer, NULL, local_run_writer, b);
	b->writer_runs = rc == 0;
	while (!rc && b->reader_count < LOCAL_READERS) {
		rc = pthread_create(&b->readers[b->reader_count], NULL, local_run_reader, b);
		b->reader_count += rc == 0;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -rc;
}

static int parse_bytes(const char *text, uint64_t *ret_bytes)
{
	char *end;
	errno = 0;
	unsigned long long v = strtoull(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-')
		return ERR_CONFIG;
	*ret_bytes = v;
	return 0;
}

static int configure(
	struct local_backend *b, const struct store_url *url, char *why, size_t why_size)
{
	static const char *const known[] = {"cold", "quota", NULL};
	const char *cold = store_url_param(url, "cold"), *quota = store_url_param(url, "quota");
	int rc = store_url_check_keys(url, known, why, why_size);
	if (rc)
		return rc;
	if (quota && parse_bytes(quota, &b->batch.quota_bytes)) {
		(void)snprintf(why, why_size,
			"the store's quota should be a number of bytes, not \"%s\"", quota);
		return ERR_CONFIG;
	}
	(void)snprintf(b->paths[0], sizeof(b->paths[0]), "%s",
		url->path); /* urls are shorter than paths */
	b->batch.pool_count = 2;
	if (cold) {
		(void)snprintf(b->paths[STORE_COLD], sizeof(b->paths[0]), "%s", cold);
		b->batch.home_of[STORE_COLD] = STORE_COLD;
		b->batch.pool_count = 3;
	}
	return 0;
}

/* Half of the descriptors the process may have, but no more than are good for anything. */
static unsigned open_max(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur / 2 > OPEN_MAX)
		return OPEN_MAX;
	return limit.rlim_cur < 64 ? 32 : (unsigned)limit.rlim_cur / 2;
}

static int open_index(struct local_batch *b, char *why, size_t why_size)
{
	char path[LOCAL_HOME_PATH_MAX + 8];
	struct local_home *home = &b->homes[0];
	(void)snprintf(path, sizeof(path), "%s/kv.mdb", home->path);
	if (!home->is_new && faccessat(home->dir, "kv.mdb", F_OK, 0)) {
		(void)snprintf(
			why, why_size, "the index %s is missing: restore it from a backup", path);
		return -ENOENT;
	}
	/* no mark, no acknowledgement: an index that is there was being made when the power went,
	 * and may be half there */
	if (home->is_new && ((unlinkat(home->dir, "kv.mdb", 0) && errno != ENOENT) ||
				    (unlinkat(home->dir, "kv.mdb-lock", 0) && errno != ENOENT))) {
		int rc = -errno;
		(void)snprintf(
			why, why_size, "cannot begin the index %s anew: %s", path, err_text(rc));
		return rc;
	}
	int rc = local_kv_open(&b->kv, path, why, why_size);
	if (!rc && fsync(home->dir))
		rc = -errno;
	return rc;
}

/* An empty directory in the place of one that has footage is a disk that is not mounted. */
static int check_cold(struct local_batch *b, char *why, size_t why_size)
{
	if (!b->kv.now.pools[STORE_COLD].objects)
		return 0;
	if (b->pool_count <= STORE_COLD)
		(void)snprintf(why, why_size,
			"%s has footage in a cold pool: say where with ?cold=DIRECTORY",
			b->homes[0].path);
	else if (b->homes[STORE_COLD].is_new)
		(void)snprintf(why, why_size,
			"%s should have footage and has none: is its disk mounted?",
			b->homes[STORE_COLD].path);
	else
		return 0;
	return ERR_CONFIG;
}

static int open_batch(struct local_backend *b, char *why, size_t why_size)
{
	struct local_batch *batch = &b->batch;
	int rc = 0;
	for (int i = 0; !rc && i < batch->pool_count; i++)
		if (batch->home_of[i] == i)
			rc = local_home_open(&batch->homes[i], b->paths[i], i, why, why_size);
	if (!rc)
		rc = open_index(batch, why, why_size);
	if (!rc)
		rc = check_cold(batch, why, why_size);
	for (int i = 0; !rc && i < batch->pool_count; i++)
		if (batch->home_of[i] == i)
			rc = local_home_claim(&batch->homes[i], batch->kv.store_id, why, why_size);
	if (rc)
		return rc;
	for (int i = STORE_DATA; i < batch->pool_count; i++)
		batch->files.dirs[i] = batch->homes[batch->home_of[i]].data;
	batch->garbage_waits = true; /* what a crash may have left of removals */
	return 0;
}

/* A condition whose waits are timed by the clock that never steps. */
static void cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

int store_local_open(
	const struct store_url *url, struct store_backend **ret_backend, char *why, size_t why_size)
{
	static const struct store_backend_ops ops = {
		.store_new = local_store_new, .close = local_close};
	struct local_backend *b = calloc(1, sizeof(*b));
	if (!b) {
		(void)snprintf(why, why_size, "out of memory");
		return -ENOMEM;
	}
	b->backend.ops = &ops;
	for (int i = 0; i < STORE_POOLS_MAX; i++)
		b->batch.homes[i] = (struct local_home){.dir = -1, .data = -1, .lock = -1};
	pthread_mutex_init(&b->lock, NULL);
	cond_init(&b->write_waits);
	pthread_cond_init(&b->look_waits, NULL);
	list_init(&b->writes);
	list_init(&b->looks);
	local_files_init(&b->batch.files, open_max());
	int rc = configure(b, url, why, why_size);
	if (!rc)
		rc = open_batch(b, why, why_size);
	if (!rc) {
		rc = start_threads(b);
		if (rc)
			(void)snprintf(why, why_size, "cannot start the store's threads: %s",
				err_text(rc));
	}
	if (rc) {
		local_close(&b->backend);
		return rc;
	}
	*ret_backend = &b->backend;
	return 0;
}
