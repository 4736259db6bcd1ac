/* SPDX-License-Identifier: Apache-2.0 */
/* What a real Ceph does to a store on bad days: OSDs killed and stopped, a full pool, a client
 * shut out, a store closed in the middle of its work. Needs a test cluster of its own for the
 * time: STEPPE_TEST_CEPH names its configuration, CEPH_SCRIPT the program that started it. */
#include <errno.h>
#include <libgen.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/errors.h"
#include "tests/unit/store/appender.h"

static char conf[256], directory[256], prefix[64];

/* Runs a shell command and fails the test when it does not succeed. The first line it prints, or
 * nothing. */
static __attribute__((format(printf, 1, 2))) const char *run(const char *format, ...)
{
	static char line[512];
	char command[1024];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	FILE *out = popen(command, "r");
	assert_non_null(out);
	line[0] = 0;
	if (fgets(line, sizeof(line), out))
		line[strcspn(line, "\n")] = 0;
	while (fgetc(out) != EOF)
		;
	if (pclose(out) != 0)
		fail_msg("%s: %s", command, line);
	return line;
}

/* A command for the cluster's operator. */
#define CEPH(...) run("ceph --conf " __VA_ARGS__)

static void osd(const char *verb, int number, const char *signal)
{
	run("%s %s %s %d %s", getenv("CEPH_SCRIPT"), verb, directory, number, signal);
}

/* Until all placement groups are whole again, so that one test's damage is not the next one's. */
static void wait_healthy(void)
{
	run("%s start %s", getenv("CEPH_SCRIPT"), directory);
}

static void open_pools(struct probe *p, const char *with_conf, const char *data)
{
	char url[600];
	(void)snprintf(url, sizeof(url), "rados://?conf=%s&id=steppe&meta=steppe.meta&data=%s",
		with_conf, data);
	probe_open_url(p, url);
}

static void object_name(char *to, size_t size, const char *kind, int i)
{
	(void)snprintf(to, size, "%s/%s/%d", prefix, kind, i);
}

static void raise_targets(struct appender *a, unsigned count, unsigned by, int *running)
{
	for (unsigned i = 0; i < count; i++) {
		a[i].target += by;
		appender_go_on(&a[i], running);
	}
}

static void drain(struct probe *p, const int *running)
{
	while (*running)
		uv_run(&p->uv.uv, UV_RUN_ONCE);
}

#define APPENDERS 64

/* kill -9 of an OSD with 64 writes in flight: everything acknowledged is there, once, in order. */
static void kill_osd_while_writing(const char *data)
{
	struct probe p;
	struct appender *a = calloc(APPENDERS, sizeof(*a));
	char name[128];
	int running = 0;
	assert_non_null(a);
	open_pools(&p, conf, data);
	for (int i = 0; i < APPENDERS; i++) {
		object_name(name, sizeof(name), data, i);
		appender_start(&a[i], &p, STORE_DATA, name, 64 << 10);
	}
	raise_targets(a, APPENDERS, 20, &running);
	unsigned before = 0;
	while (before < 5 * APPENDERS) {
		uv_run(&p.uv.uv, UV_RUN_ONCE);
		before = 0;
		for (int i = 0; i < APPENDERS; i++)
			before += a[i].acknowledged;
	}
	assert_true(running > 0);
	osd("osd-kill", 1, "KILL");
	drain(&p, &running);
	/* and the other way round: it comes back while we write */
	raise_targets(a, APPENDERS, 20, &running);
	osd("osd-start", 1, "");
	drain(&p, &running);
	for (int i = 0; i < APPENDERS; i++) {
		assert_int_equal(a[i].acknowledged, 40);
		appender_verify(&a[i], &p);
	}
	(void)snprintf(name, sizeof(name), "%s/%s/", prefix, data);
	probe_remove_all(&p, STORE_DATA, name);
	probe_close(&p);
	free(a);
	wait_healthy();
}

static void test_osd_killed_replicated(void **state)
{
	(void)state;
	kill_osd_while_writing("steppe.data");
}

static void test_osd_killed_erasure_coded(void **state)
{
	(void)state;
	kill_osd_while_writing("steppe.ec");
}

static int write_whole(struct probe *p, const char *name, size_t len, enum store_guard_kind kind)
{
	struct slice body = probe_bytes(len, len);
	struct store_guard guard = {.kind = kind};
	int rc = probe_write(p, STORE_META, name,
		&(struct store_edits){.guards = &guard,
			.guard_count = 1,
			.body_kind = STORE_BODY_WHOLE,
			.body = &body,
			.body_count = 1});
	slice_drop(&body);
	return rc;
}

/* Loops of several threads share one connection: each gets its own answers, on its own thread. */

#define LOOPS          3
#define LOOP_APPENDERS 8
#define LOOP_APPENDS   30

struct looper {
	struct probe probe;
	struct appender appenders[LOOP_APPENDERS];
	pthread_t thread;
	unsigned wrong; /* appenders that did not come through */
};

static void *run_loop(void *arg)
{
	struct looper *l = arg;
	int running = 0;
	raise_targets(l->appenders, LOOP_APPENDERS, LOOP_APPENDS, &running);
	drain(&l->probe, &running);
	for (int i = 0; i < LOOP_APPENDERS; i++)
		l->wrong += l->appenders[i].acknowledged != LOOP_APPENDS;
	return NULL;
}

static void test_many_loops(void **state)
{
	(void)state;
	struct probe p;
	struct looper *loopers = calloc(LOOPS, sizeof(*loopers));
	char name[128];
	assert_non_null(loopers);
	open_pools(&p, conf, "steppe.data");
	for (int i = 0; i < LOOPS; i++) {
		probe_share(&loopers[i].probe, &p);
		for (int k = 0; k < LOOP_APPENDERS; k++) {
			object_name(name, sizeof(name), "loops", i * LOOP_APPENDERS + k);
			appender_start(&loopers[i].appenders[k], &loopers[i].probe,
				k % 2 ? STORE_DATA : STORE_META, name, 16 << 10);
		}
		assert_int_equal(
			pthread_create(&loopers[i].thread, NULL, run_loop, &loopers[i]), 0);
	}
	for (int i = 0; i < LOOPS; i++) {
		pthread_join(loopers[i].thread, NULL);
		assert_int_equal(loopers[i].wrong, 0);
		for (int k = 0; k < LOOP_APPENDERS; k++)
			appender_verify(&loopers[i].appenders[k], &p);
		probe_close(&loopers[i].probe);
	}
	(void)snprintf(name, sizeof(name), "%s/loops/", prefix);
	probe_remove_all(&p, STORE_META, name);
	probe_remove_all(&p, STORE_DATA, name);
	probe_close(&p);
	free(loopers);
}

/* Shut out by the cluster's operator in the middle of writes: a new connection is made, and rule S
 * settles the rest. */
static void test_blocklisted(void **state)
{
	(void)state;
	struct probe p;
	struct appender a[8];
	char name[128], why[256] = "";
	int running = 0;
	open_pools(&p, conf, "steppe.data");
	for (int i = 0; i < 8; i++) {
		object_name(name, sizeof(name), "shut-out", i);
		appender_start(&a[i], &p, STORE_DATA, name, 4096);
	}
	raise_targets(a, 8, 10, &running);
	drain(&p, &running);
	assert_int_equal(store_backend_health(p.backend, why, sizeof(why)), 0);
	/* every client of this user: the monitor knows their addresses */
	run("%s blocklist %s steppe", getenv("CEPH_SCRIPT"), directory);
	raise_targets(a, 8, 200, &running);
	drain(&p, &running);
	unsigned unknown = 0;
	for (int i = 0; i < 8; i++) {
		assert_int_equal(a[i].acknowledged, 210);
		appender_verify(&a[i], &p);
		unknown += a[i].unknown;
	}
	assert_true(unknown > 0);
	assert_int_equal(store_backend_health(p.backend, why, sizeof(why)), 0);
	(void)snprintf(name, sizeof(name), "%s/shut-out/", prefix);
	probe_remove_all(&p, STORE_DATA, name);
	probe_close(&p);
	CEPH("%s osd blocklist clear 2>&1", conf);
}

/* With all OSDs stopped a write's outcome is unknown; when they go on, it is applied after all. */
static void test_late_writes(void **state)
{
	(void)state;
	struct probe p;
	char impatient[300], name[128];
	(void)snprintf(impatient, sizeof(impatient), "%s.impatient", conf);
	run("{ cat %s; echo '[client.steppe]'; echo 'rados osd op timeout = 3'; } >%s", conf,
		impatient);
	open_pools(&p, impatient, "steppe.data");
	object_name(name, sizeof(name), "late", 0);
	assert_int_equal(write_whole(&p, name, 4096, STORE_ABSENT), 0);
	for (int i = 0; i < 3; i++)
		osd("osd-kill", i, "STOP");
	struct store_guard guard = {
		.kind = STORE_ATTR_EQUAL, .attr = "ver", .value = "", .value_len = 0};
	struct store_attr ver = {"ver", "1", 1};
	struct store_edits edits = {
		.guards = &guard, .guard_count = 1, .attrs = &ver, .attr_count = 1};
	assert_int_equal(probe_write(&p, STORE_META, name, &edits), ERR_UNKNOWN);
	struct buf *body;
	assert_int_equal(probe_range(&p, STORE_META, name, 0, 10, &body), -ETIMEDOUT);
	assert_null(body);
	for (int i = 0; i < 3; i++)
		osd("osd-kill", i, "CONT");
	wait_healthy();
	/* on one object operations are in order, so the late one is before this */
	int rc;
	while ((rc = probe_write(&p, STORE_META, name, &edits)) == ERR_UNKNOWN)
		;
	assert_int_equal(rc, ERR_GUARD);
	struct probe_object object;
	probe_get(&p, STORE_META, name, &object);
	assert_int_equal(object.status, 0);
	size_t len;
	assert_memory_equal(store_read_attr(&object.read, "ver", &len), "1", 1);
	assert_int_equal(len, 1);
	probe_drop(&object);
	assert_int_equal(probe_remove(&p, STORE_META, name), 0);
	probe_close(&p);
	run("rm %s", impatient);
}

/* Closing in the middle: every request is answered once, then closed() comes. */

#define MANY 400

struct closing {
	struct store_write writes[MANY];
	struct store_read reads[MANY];
	struct store_list list;
	struct store_space space;
	struct loop_task closed;
	unsigned answered, cancelled;
	bool is_closed;
};
static struct closing closing;

static void note(int status)
{
	assert_false(closing.is_closed);
	closing.answered++;
	closing.cancelled += status == -ECANCELED;
	if (status && status != -ECANCELED && status != -ENOENT)
		fail_msg("status %d", status);
}
static void on_written(struct store_write *req)
{
	note(req->status);
}
static void on_read(struct store_read *req)
{
	note(req->status);
	store_read_release(req);
}
static void on_listed(struct store_list *req)
{
	note(req->status);
}
static void on_space(struct store_space *req)
{
	note(req->status);
}
static void on_entry(struct store_list *req, const char *name, uint64_t size)
{
	(void)req, (void)name, (void)size;
}
static void on_closed(struct loop_task *task)
{
	(void)task;
	closing.is_closed = true;
}

static void close_with(struct probe *p, unsigned turns)
{
	memset(&closing, 0, sizeof(closing));
	struct slice body = probe_bytes(1, 16 << 10);
	struct store_guard absent = {.kind = STORE_ABSENT};
	char name[128];
	closing.list = (struct store_list){.each = on_entry, .done = on_listed};
	closing.space.done = on_space;
	store_list(p->store, &closing.list, STORE_DATA, prefix);
	store_space(p->store, &closing.space, STORE_DATA);
	for (int i = 0; i < MANY; i++) {
		object_name(name, sizeof(name), "closing", i);
		closing.writes[i].done = on_written;
		closing.reads[i] = (struct store_read){
			.done = on_read, .want_attrs = true, .want_body = true, .len = 16 << 10};
		store_write(p->store, &closing.writes[i], STORE_DATA, name,
			&(struct store_edits){.guards = &absent,
				.guard_count = 1,
				.body_kind = STORE_BODY_WRITE_AT,
				.body = &body,
				.body_count = 1});
		store_read(p->store, &closing.reads[i], STORE_DATA, name);
	}
	slice_drop(&body);
	for (unsigned i = 0; i < turns; i++)
		uv_run(&p->uv.uv, UV_RUN_ONCE);
	closing.closed.run = on_closed;
	store_free(&p->store, &closing.closed);
	while (!closing.is_closed)
		uv_run(&p->uv.uv, UV_RUN_ONCE);
	assert_int_equal(closing.answered, 2 * MANY + 2);
}

static void test_close_in_flight(void **state)
{
	(void)state;
	char name[128];
	unsigned cancelled = 0;
	for (unsigned turns = 0; turns < 4; turns++) {
		struct probe p;
		open_pools(&p, conf, "steppe.data");
		close_with(&p, turns * turns);
		cancelled += closing.cancelled;
		p.store = store_new(p.backend, &p.uv.loop);
		assert_non_null(p.store);
		(void)snprintf(name, sizeof(name), "%s/closing/", prefix);
		struct probe_listing *l = calloc(1, sizeof(*l));
		for (int i = 0; i < MANY; i++) {
			object_name(name, sizeof(name), "closing", i);
			int rc = probe_remove(&p, STORE_DATA, name);
			/* cancelled: never sent, so not there */
			assert_int_equal(rc, closing.writes[i].status == 0 ? 0 : -ENOENT);
		}
		free(l);
		probe_close(&p);
	}
	assert_true(cancelled > 0);
}

/* What an operator reads when the url, the cluster or the user's rights are wrong. */
static void test_words(void **state)
{
	(void)state;
	static const struct {
		const char *url, *words;
	} cases[] = {
		{"rados://?conf=%s&meta=steppe.meta", "lacks data=POOL"},
		{"rados://?conf=/none/ceph.conf&meta=a&data=b", "/none/ceph.conf cannot be read"},
		{"rados://?conf=%s&meta=none&data=steppe.data", "has no pool none"},
		{"rados://?conf=%s&meta=steppe.ec&data=steppe.data", "must be replicated"},
		{"rados://?conf=%s&meta=steppe.meta&data=steppe.data&id=nobody", "no connection"},
		{"rados://?conf=%s&meta=steppe.meta&data=steppe.data&typo=1",
			"no parameter \"typo\""},
		{"rados://host/?conf=%s&meta=steppe.meta&data=steppe.data", "has no path"},
		{"rados://?conf=%s&meta=steppe.meta&data=device_health_metrics&id=steppe", "pool"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char url[600], why[300] = "";
		struct store_backend *backend = NULL;
		(void)snprintf(url, sizeof(url), cases[i].url, conf);
		assert_true(store_backend_open(url, &backend, why, sizeof(why)) < 0);
		assert_null(backend);
		if (!strstr(why, cases[i].words))
			fail_msg("%s: %s", url, why);
	}
}

/* A user who may only read is told at once. */
static void test_rights(void **state)
{
	(void)state;
	char url[600], why[300] = "";
	struct store_backend *backend = NULL;
	CEPH("%s auth get-or-create client.reader mon 'allow r' osd 'allow r' -o "
	     "%s/client.reader.keyring 2>&1",
		conf, directory);
	(void)snprintf(url, sizeof(url),
		"rados://?conf=%s&id=reader&meta=steppe.meta&data=steppe.data", conf);
	assert_int_equal(store_backend_open(url, &backend, why, sizeof(why)), -EPERM);
	assert_non_null(strstr(why, "may not read and write pool steppe.meta"));
	CEPH("%s auth rm client.reader 2>&1", conf);
	run("rm %s/client.reader.keyring", directory);
}

/* A pool that acknowledges what one disk has: not without being told so. */
static void test_copies(void **state)
{
	(void)state;
	char url[600], why[600] = "";
	struct store_backend *backend = NULL;
	(void)snprintf(url, sizeof(url),
		"rados://?conf=%s&id=steppe&meta=steppe.meta&data=steppe.data", conf);
	CEPH("%s osd pool set steppe.data min_size 1 2>&1", conf);
	int rc = store_backend_open(url, &backend, why, sizeof(why));
	(void)snprintf(url, sizeof(url),
		"rados://?conf=%s&id=steppe&meta=steppe.meta&data=steppe.data&min_size=1", conf);
	int explicit = store_backend_open(url, &backend, why, sizeof(why));
	CEPH("%s osd pool set steppe.data min_size 2 2>&1", conf);
	assert_int_equal(rc, ERR_CONFIG);
	assert_non_null(strstr(why, "ceph osd pool set steppe.data min_size 2"));
	assert_int_equal(explicit, 0);
	store_backend_close(&backend);
	(void)snprintf(url, sizeof(url),
		"rados://?conf=%s&id=steppe&meta=steppe.meta&data=steppe.data&min_size=x", conf);
	assert_int_equal(store_backend_open(url, &backend, why, sizeof(why)), ERR_CONFIG);
}

int main(void)
{
	const char *from = getenv("STEPPE_TEST_CEPH");
	if (!from || !getenv("CEPH_SCRIPT")) {
		fprintf(stderr, "STEPPE_TEST_CEPH must name the configuration of a running test "
				"cluster and "
				"CEPH_SCRIPT the program tests/lib/ceph that started it\n");
		return 1;
	}
	(void)snprintf(conf, sizeof(conf), "%s", from);
	(void)snprintf(directory, sizeof(directory), "%s", from);
	(void)dirname(directory);
	(void)snprintf(prefix, sizeof(prefix), "test-rados-%d", getpid());
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_rights),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_close_in_flight),
		cmocka_unit_test(test_many_loops),
		cmocka_unit_test(test_blocklisted),
		cmocka_unit_test(test_late_writes),
		cmocka_unit_test(test_osd_killed_replicated),
		cmocka_unit_test(test_osd_killed_erasure_coded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
