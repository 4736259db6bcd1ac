/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/store/ceph_conn.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/errors.h"
#include "storaged/store/ceph_df.h"
#include "storaged/store/ceph_librados.h"

static __attribute__((format(printf, 4, 5))) int fail(
	int rc, char *why, size_t why_size, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	(void)vsnprintf(why, why_size, format, args); /* words that do not fit are cut */
	va_end(args);
	return rc;
}

/* Sets `option` unless the cluster's configuration has another value than librados' own default,
 * which does not suit a daemon that must never hang. */
static void set_default(rados_t cluster, const char *option, const char *librados, const char *ours)
{
	char value[32] = "";
	/* an option that a later librados does not know is no reason to fail */
	if (!rados_conf_get(cluster, option, value, sizeof(value)) && strcmp(value, librados) == 0)
		(void)rados_conf_set(cluster, option, ours);
}

static void set_options(rados_t cluster)
{
	char number[32];
	/* no limit by default: a write to a hung OSD would be waited for for ever. Longer than the
	 * heartbeat's 20 s, so that an OSD that dies is replaced before writes to it become
	 * unknown / */
	set_default(cluster, "rados_osd_op_timeout", "0", "30");
	set_default(cluster, "rados_mon_op_timeout", "0", "30");
	set_default(cluster, "client_mount_timeout", "300", "30");
	(void)snprintf(number, sizeof(number), "%d", 2 * CEPH_IN_FLIGHT_OPS_MAX);
	(void)rados_conf_set(cluster, "objecter_inflight_ops", number);
	(void)snprintf(number, sizeof(number), "%zu", 2 * CEPH_IN_FLIGHT_BYTES_MAX);
	(void)rados_conf_set(cluster, "objecter_inflight_op_bytes", number);
}

static int connect_cluster(struct ceph_conn *conn, char *why, size_t why_size)
{
	const struct ceph_settings *s = conn->settings;
	const char *conf = s->conf ? s->conf : "/etc/ceph/ceph.conf";
	char user[128];
	if (snprintf(user, sizeof(user), "client.%s", s->user) >= (int)sizeof(user))
		return fail(ERR_CONFIG, why, why_size, "the Ceph user's name is too long");
	int rc = rados_create2((rados_t *)&conn->cluster, "ceph", user, 0);
	if (rc) {
		conn->cluster = NULL;
		return fail(rc, why, why_size, "librados does not start: %s", strerror(-rc));
	}
	rc = rados_conf_read_file(conn->cluster, s->conf);
	if (rc)
		return fail(rc == -ENOENT ? ERR_CONFIG : rc, why, why_size,
			"the Ceph configuration %s cannot be read: %s", conf, strerror(-rc));
	set_options(conn->cluster);
	rc = rados_connect(conn->cluster);
	if (rc)
		return fail(rc, why, why_size,
			"no connection to the Ceph cluster of %s as %s: %s; are its monitors up, "
			"and is the "
			"user's keyring where the configuration says?",
			conf, user, strerror(-rc));
	return 0;
}

/* Whether the user may write to the pool: a write that would be refused in any case tells, without
 * leaving a trace. */
static int try_pool(rados_ioctx_t pool)
{
	rados_write_op_t op = rados_create_write_op();
	if (!op)
		return -ENOMEM;
	rados_write_op_assert_exists(op);
	rados_write_op_setxattr(op, SIZE_ATTR, "", 0);
	int rc = rados_write_op_operate2(op, pool, "steppe no such object", NULL, 0);
	rados_release_write_op(op);
	if (rc == -ENOENT)
		rc = rados_stat(pool, "steppe no such object", NULL, NULL);
	return rc == -ENOENT ? 0 : rc ? rc : -EEXIST;
}

static int open_pool(struct ceph_conn *conn, int i, char *why, size_t why_size)
{
	const struct ceph_settings *s = conn->settings;
	const char *pool = s->pools[i];
	int rc = rados_ioctx_create(conn->cluster, pool, (rados_ioctx_t *)&conn->pools[i]);
	if (rc == -ENOENT)
		return fail(ERR_CONFIG, why, why_size,
			"the Ceph cluster has no pool %s; `ceph osd pool create %s` makes one",
			pool, pool);
	if (rc)
		return fail(rc, why, why_size, "the Ceph pool %s cannot be opened: %s", pool,
			strerror(-rc));
	if (s->name_space)
		rados_ioctx_set_namespace(conn->pools[i], s->name_space);
	/* without this a full pool hangs its writers, and even removes */
	rados_set_pool_full_try(conn->pools[i]);
	int aligned = 0;
	uint64_t alignment = 0;
	rc = rados_ioctx_pool_requires_alignment2(conn->pools[i], &aligned);
	if (!rc && aligned)
		rc = rados_ioctx_pool_required_alignment2(conn->pools[i], &alignment);
	if (!rc)
		rc = try_pool(conn->pools[i]);
	if (rc == -EPERM)
		return fail(rc, why, why_size,
			"Ceph user client.%s may not read and write pool %s; its OSD capabilities "
			"need `allow rw "
			"pool=%s`",
			s->user, pool, pool);
	if (rc)
		return fail(rc, why, why_size, "the Ceph pool %s does not work: %s", pool,
			strerror(-rc));
	if (aligned && i == STORE_META)
		return fail(ERR_CONFIG, why, why_size,
			"the meta pool %s is erasure-coded, and must be replicated", pool);
	if (alignment > STORE_OBJECT_MAX)
		return fail(ERR_CONFIG, why, why_size,
			"the Ceph pool %s has stripes of %" PRIu64 " bytes", pool, alignment);
	conn->alignment[i] = aligned ? (uint32_t)alignment : 4096;
	conn->striped[i] = aligned;
	return 0;
}

int ceph_conn_open(const struct ceph_settings *settings, struct ceph_conn **ret_conn, char *why,
	size_t why_size)
{
	struct ceph_conn *conn = calloc(1, sizeof(*conn));
	if (!conn)
		return fail(-ENOMEM, why, why_size, "out of memory");
	list_init(&conn->node);
	conn->settings = settings;
	int rc = connect_cluster(conn, why, why_size);
	for (int i = 0; !rc && i < settings->pool_count; i++)
		rc = open_pool(conn, i, why, why_size);
	if (rc)
		ceph_conn_close(&conn);
	else
		*ret_conn = conn;
	return rc;
}

static int ask_min_size(struct ceph_conn *conn, const char *pool, uint64_t *ret_value)
{
	char command[256];
	const char *commands = command;
	char *out = NULL;
	size_t len = 0;
	/* a pool of this name exists: it has no quotes in it */
	(void)snprintf(command, sizeof(command),
		"{\"prefix\": \"osd pool get\", \"pool\": \"%s\", \"var\": \"min_size\", "
		"\"format\": \"json\"}",
		pool);
	int rc = rados_mon_command(conn->cluster, &commands, 1, "", 0, &out, &len, NULL, NULL);
	if (!rc)
		rc = ceph_pool_parse(out, len, "min_size", ret_value);
	rados_buffer_free(out);
	return rc;
}

static int check_pool(struct ceph_conn *conn, const char *pool, char *why, size_t why_size)
{
	uint64_t least = conn->settings->min_size, min_size = 0;
	int rc = ask_min_size(conn, pool, &min_size);
	if (rc)
		return fail(rc, why, why_size, "the Ceph pool %s does not tell its min_size: %s",
			pool, err_text(rc));
	if (min_size >= least)
		return 0;
	return fail(ERR_CONFIG, why, why_size,
		"the Ceph pool %s acknowledges writes of which %" PRIu64 " copy exists (min_size): "
		"a disk that dies then takes acknowledged footage along; `ceph osd pool set %s "
		"min_size 2`, or say min_size=%" PRIu64 " in the store's url if that is wanted",
		pool, min_size, pool, min_size);
}

int ceph_conn_check_copies(struct ceph_conn *conn, char *why, size_t why_size)
{
	int rc = 0;
	for (int i = 0; !rc && i < conn->settings->pool_count; i++)
		if (!conn->striped[i])
			rc = check_pool(conn, conn->settings->pools[i], why, why_size);
	return rc;
}

void ceph_conn_close(struct ceph_conn **slot)
{
	struct ceph_conn *conn = *slot;
	*slot = NULL;
	if (!conn)
		return;
	for (int i = 0; i < STORE_POOLS_MAX; i++)
		if (conn->pools[i])
			rados_ioctx_destroy(conn->pools[i]);
	if (conn->cluster)
		rados_shutdown(conn->cluster);
	free(conn->gather);
	free(conn);
}

/* Walking a pool. */

struct ceph_listing {
	rados_ioctx_t pool;
	rados_list_ctx_t walk;
	size_t prefix_len;
	char prefix[STORE_NAME_MAX + 1];
};

int ceph_listing_open(
	struct ceph_conn *conn, int pool, const char *prefix, struct ceph_listing **ret_listing)
{
	struct ceph_listing *l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->pool = conn->pools[pool];
	l->prefix_len = (size_t)snprintf(l->prefix, sizeof(l->prefix), "%s", prefix);
	int rc = rados_nobjects_list_open(l->pool, &l->walk);
	if (rc) {
		free(l);
		return rc;
	}
	*ret_listing = l;
	return 0;
}

void ceph_listing_close(struct ceph_listing **slot)
{
	struct ceph_listing *l = *slot;
	*slot = NULL;
	if (!l)
		return;
	rados_nobjects_list_close(l->walk);
	free(l);
}

/* Names come without sizes: asks for those of `count` entries all at once and closes the gaps that
 * objects removed meanwhile leave. The number of entries left, or a negative code. */
static int add_sizes(struct ceph_listing *l, struct ceph_entry *entries, unsigned count)
{
	rados_completion_t stats[CEPH_ENTRIES_MAX] = {0};
	unsigned asked = 0, left = 0;
	int rc = 0;
	for (; !rc && asked < count; asked++) {
		rc = rados_aio_create_completion2(NULL, NULL, &stats[asked]);
		if (!rc)
			rc = rados_aio_stat(l->pool, entries[asked].name, stats[asked],
				&entries[asked].size, NULL);
		if (rc && stats[asked])
			rados_aio_release(stats[asked]);
		if (rc)
			break;
	}
	/* those that were asked write to the entries until they are complete, whatever else failed
	 * / */
	for (unsigned i = 0; i < asked; i++) {
		(void)rados_aio_wait_for_complete(stats[i]);
		int stat_rc = rados_aio_get_return_value(stats[i]);
		rados_aio_release(stats[i]);
		if (!stat_rc)
			entries[left++] = entries[i];
		else if (stat_rc != -ENOENT && !rc)
			rc = stat_rc;
	}
	return rc ? rc : (int)left;
}

int ceph_listing_next(
	struct ceph_listing *l, struct ceph_entry *entries, unsigned max, bool *ret_ended)
{
	CHECK(max <= CEPH_ENTRIES_MAX);
	unsigned count = 0;
	*ret_ended = false;
	/* names without the prefix count too, so that a listing that finds nothing can be stopped
	 * / */
	for (unsigned seen = 0; count < max && seen < 32 * max; seen++) {
		const char *name;
		size_t len;
		int rc = rados_nobjects_list_next2(l->walk, &name, NULL, NULL, &len, NULL, NULL);
		if (rc == -ENOENT) {
			*ret_ended = true;
			break;
		}
		if (rc)
			return rc;
		/* longer names are not this store's */
		if (len > STORE_NAME_MAX || strncmp(name, l->prefix, l->prefix_len) != 0)
			continue;
		memcpy(entries[count++].name, name, len + 1);
	}
	return add_sizes(l, entries, count);
}

int ceph_conn_space(struct ceph_conn *conn, int pool, uint64_t *ret_total, uint64_t *ret_used)
{
	const char *command = "{\"prefix\": \"df\", \"detail\": \"detail\", \"format\": \"json\"}";
	char *out = NULL;
	size_t len = 0;
	int rc = rados_mon_command(conn->cluster, &command, 1, "", 0, &out, &len, NULL, NULL);
	if (!rc)
		rc = ceph_df_parse(out, len, conn->settings->pools[pool], ret_total, ret_used);
	rados_buffer_free(out);
	return rc;
}
