/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/catalog.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/errors.h"
#include "storaged/archive/catalog_shard.h"
#include "tests/lib/alloc_fail.h"
#include "tests/lib/golden.h"
#include "tests/lib/store_model.h"

#define NODES 2

struct fixture {
	struct sim_world world;
	struct sim_loop loops[NODES];
	struct store_backend *model;
	struct store *stores[NODES];
	struct catalog *catalogs[NODES];
	struct loop_task closed;
	unsigned closed_count;
};

static void on_closed(struct loop_task *task)
{
	container_of(task, struct fixture, closed)->closed_count++;
}

static bool is_set(void *user)
{
	return *(const bool *)user;
}

static void wait_for(struct fixture *x, bool *flag)
{
	assert_true(sim_run_until(&x->world, is_set, flag, 3600 * NS_PER_SECOND));
}

static void close_one(struct fixture *x, int node)
{
	unsigned before = x->closed_count;
	x->closed.run = on_closed;
	catalog_free(&x->catalogs[node], &x->closed);
	while (x->closed_count == before)
		assert_true(sim_step(&x->world));
}

static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));
	sim_world_init(&x->world, 11);
	x->model = store_model_new(&x->world, NULL);
	for (int i = 0; i < NODES; i++) {
		sim_loop_init(&x->loops[i], &x->world);
		x->stores[i] = store_new(x->model, &x->loops[i].loop);
		assert_int_equal(catalog_new(&x->loops[i].loop, x->stores[i], &x->catalogs[i]), 0);
	}
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *x = *state;
	for (int i = 0; i < NODES; i++) {
		close_one(x, i);
		unsigned before = x->closed_count;
		store_free(&x->stores[i], &x->closed);
		while (x->closed_count == before)
			assert_true(sim_step(&x->world));
	}
	store_backend_close(&x->model);
	for (int i = 0; i < NODES; i++)
		sim_loop_fini(&x->loops[i]);
	sim_world_fini(&x->world);
	free(x);
	return 0;
}

struct put {
	struct catalog_put req;
	bool told;
};
struct get {
	struct catalog_get req;
	bool told;
};
struct walk {
	struct catalog_walk req;
	bool told;
};

static void on_put(struct catalog_put *req)
{
	struct put *p = container_of(req, struct put, req);
	assert_false(p->told);
	assert_true((req->status == 0) == (req->camera != NULL));
	p->told = true;
}

static void on_get(struct catalog_get *req)
{
	struct get *g = container_of(req, struct get, req);
	assert_false(g->told);
	assert_true((req->status == 0) == (req->camera != NULL));
	g->told = true;
}

static void on_walk(struct catalog_walk *req)
{
	container_of(req, struct walk, req)->told = true;
}

static void camera_free(Steppe__Wire__Camera **camera)
{
	if (*camera)
		steppe__wire__camera__free_unpacked(*camera, NULL);
	*camera = NULL;
}

static void start_put(struct fixture *x, int node, struct put *p, const char *id, const char *name,
	uint64_t version, bool removed)
{
	Steppe__Wire__Camera camera = STEPPE__WIRE__CAMERA__INIT;
	camera.id = (char *)(uintptr_t)id;
	camera.name = (char *)(uintptr_t)name;
	camera.version = version;
	camera.removed = removed;
	*p = (struct put){.req.done = on_put};
	catalog_put(x->catalogs[node], &p->req, &camera);
	assert_false(p->told);
}

static int put(struct fixture *x, const char *id, const char *name, uint64_t version, bool removed)
{
	struct put p;
	start_put(x, 0, &p, id, name, version, removed);
	wait_for(x, &p.told);
	camera_free(&p.req.camera);
	return p.req.status;
}

static int get(struct fixture *x, int node, const char *id, int64_t max_age_ns, struct get *g)
{
	bool removed_too = g->req.removed_too;
	*g = (struct get){
		.req.done = on_get, .req.max_age_ns = max_age_ns, .req.removed_too = removed_too};
	catalog_get(x->catalogs[node], &g->req, id);
	assert_false(g->told);
	wait_for(x, &g->told);
	return g->req.status;
}

/* --- tests --- */

static void cameras_come_and_go(void **state)
{
	struct fixture *x = *state;
	struct get g = {0};
	assert_int_equal(get(x, 0, "gate-7", 0, &g), -ENOENT);
	assert_int_equal(put(x, "gate-7", "the gate", 3, false), -ENOENT); /* an update of none */
	assert_int_equal(put(x, "gate-7", "the gate", 0, false), 0);
	assert_int_equal(get(x, 0, "gate-7", 0, &g), 0);
	assert_string_equal(g.req.camera->name, "the gate");
	assert_int_equal(g.req.camera->version, 1);
	int64_t added = g.req.camera->added_us;
	assert_true(added > 0);
	camera_free(&g.req.camera);
	assert_int_equal(put(x, "gate-7", "east gate", 1, false), 0);
	assert_int_equal(put(x, "gate-7", "west gate", 1, false), ERR_GUARD);
	assert_int_equal(put(x, "gate-7", "the east gate", 0, false), 0);
	assert_int_equal(get(x, 1, "gate-7", 0, &g), 0);
	assert_string_equal(g.req.camera->name, "the east gate");
	assert_int_equal(g.req.camera->version, 3);
	assert_int_equal(g.req.camera->added_us, added);
	camera_free(&g.req.camera);
	assert_int_equal(put(x, "gate-7", "the east gate", 3, true), 0);
	assert_int_equal(get(x, 0, "gate-7", 0, &g), -ENOENT);
	g.req.removed_too = true;
	assert_int_equal(get(x, 0, "gate-7", 0, &g), 0);
	assert_true(g.req.camera->removed);
	camera_free(&g.req.camera);
	assert_int_equal(put(x, "../gate", "", 0, false), -EINVAL);
	assert_int_equal(get(x, 0, "../gate", 0, &g), -ENOENT);
}

static void answers_from_memory_are_as_old_as_allowed(void **state)
{
	struct fixture *x = *state;
	struct get g = {0};
	assert_int_equal(put(x, "gate-7", "a", 0, false), 0);
	assert_int_equal(get(x, 1, "gate-7", 0, &g), 0);
	camera_free(&g.req.camera);
	assert_int_equal(put(x, "gate-7", "b", 0, false), 0);
	uint64_t reads = store_counters(x->stores[1], STORE_META)->reads;
	assert_int_equal(get(x, 1, "gate-7", 60 * NS_PER_SECOND, &g), 0);
	assert_string_equal(g.req.camera->name, "a");
	camera_free(&g.req.camera);
	assert_int_equal(store_counters(x->stores[1], STORE_META)->reads, reads);
	sim_run_for(&x->world, 61 * NS_PER_SECOND);
	assert_int_equal(get(x, 1, "gate-7", 60 * NS_PER_SECOND, &g), 0);
	assert_string_equal(g.req.camera->name, "b");
	camera_free(&g.req.camera);
	/* who wrote it knows it */
	reads = store_counters(x->stores[0], STORE_META)->reads;
	sim_run_for(&x->world, 30 * NS_PER_SECOND);
	assert_int_equal(put(x, "gate-7", "c", 0, false), 0);
	reads = store_counters(x->stores[0], STORE_META)->reads;
	assert_int_equal(get(x, 0, "gate-7", NS_PER_SECOND, &g), 0);
	assert_string_equal(g.req.camera->name, "c");
	camera_free(&g.req.camera);
	assert_int_equal(store_counters(x->stores[0], STORE_META)->reads, reads);
}

static void all_cameras_in_steps(void **state)
{
	struct fixture *x = *state;
	char id[32], after[CAMERA_ID_MAX + 1] = "";
	enum { CAMERAS = 60 };
	bool seen[CAMERAS] = {false};
	struct walk w = {.req.done = on_walk};
	catalog_walk(x->catalogs[0], &w.req, "", 10);
	wait_for(x, &w.told);
	assert_int_equal(w.req.status, 0);
	assert_int_equal(w.req.count, 0);
	assert_false(w.req.more);
	for (int i = 0; i < CAMERAS; i++) {
		snprintf(id, sizeof(id), "cam-%d", i);
		assert_int_equal(put(x, id, "", 0, false), 0);
	}
	assert_int_equal(put(x, "cam-17", "", 0, true), 0);
	unsigned count = 0;
	for (bool more = true; more;) {
		w = (struct walk){.req.done = on_walk};
		catalog_walk(x->catalogs[1], &w.req, after, 7);
		wait_for(x, &w.told);
		assert_int_equal(w.req.status, 0);
		more = w.req.more;
		assert_true(more ? w.req.count == 7 : w.req.count <= 7);
		for (size_t i = 0; i < w.req.count; i++) {
			int n = atoi(w.req.cameras[i]->id + 4);
			assert_false(seen[n]);
			seen[n] = true;
			count++;
		}
		strcpy(after, w.req.cameras[w.req.count - 1]->id);
		catalog_walk_release(&w.req);
		catalog_walk_release(&w.req);
	}
	assert_int_equal(count, CAMERAS - 1);
	assert_false(seen[17]);
	for (int i = 0; i < NODES; i++)
		assert_int_equal(store_counters(x->stores[i], STORE_META)->lists, 0);
}

/* Many at once from two daemons: none is lost, whatever the order. */
static void daemons_meet(void **state)
{
	struct fixture *x = *state;
	enum { PUTS = 20 };
	struct put puts[NODES][PUTS];
	char ids[PUTS][16];
	/* all into one shard would be a rare thing; all into one camera is the hardest */
	for (int i = 0; i < PUTS; i++) {
		snprintf(ids[i], sizeof(ids[i]), "cam-%d", i / 2);
		for (int node = 0; node < NODES; node++)
			start_put(x, node, &puts[node][i], ids[i], "", 0, false);
	}
	for (int i = 0; i < PUTS; i++)
		for (int node = 0; node < NODES; node++) {
			wait_for(x, &puts[node][i].told);
			assert_int_equal(puts[node][i].req.status, 0);
			camera_free(&puts[node][i].req.camera);
		}
	for (int i = 0; i < PUTS / 2; i++) {
		struct get g = {0};
		snprintf(ids[0], sizeof(ids[0]), "cam-%d", i);
		assert_int_equal(get(x, 0, ids[0], 0, &g), 0);
		assert_int_equal(g.req.camera->version, 4);
		camera_free(&g.req.camera);
	}
}

static void answers_that_get_lost(void **state)
{
	struct fixture *x = *state;
	static const enum store_model_fate fates[] = {
		STORE_MODEL_UNKNOWN_APPLIED, STORE_MODEL_UNKNOWN_LOST, STORE_MODEL_UNKNOWN_LATE};
	char id[32];
	int n = 0;
	for (size_t f = 0; f < sizeof(fates) / sizeof(fates[0]); f++) {
		for (unsigned skip = 0; skip < 2; skip++) { /* the map's write, the shard's */
			struct store_model_fault fault = {.fate = fates[f],
				.skip = skip,
				.times = 2,
				.late_ns = NS_PER_SECOND};
			struct get g = {0};
			snprintf(id, sizeof(id), "lost-%d", n++);
			store_model_plan(x->model, &fault);
			assert_int_equal(put(x, id, "x", 0, false), 0);
			store_model_withdraw(&fault);
			sim_run_for(&x->world, 100 * NS_PER_SECOND);
			assert_int_equal(get(x, 0, id, 0, &g), 0);
			assert_int_equal(g.req.camera->version, 1); /* once, not twice */
			camera_free(&g.req.camera);
		}
	}
}

static void each_operation_may_fail(void **state)
{
	struct fixture *x = *state;
	char id[32];
	for (unsigned k = 0; k < 6; k++) {
		struct store_model_fault read = {
			.fate = STORE_MODEL_EIO, .reads = true, .skip = k, .times = 1};
		struct store_model_fault write = {
			.fate = STORE_MODEL_ENOSPC, .skip = k, .times = 1};
		struct get g = {0};
		snprintf(id, sizeof(id), "fail-%u", k);
		store_model_plan(x->model, &read);
		assert_int_equal(put(x, id, "x", 0, false), k < 3 ? -EIO : 0);
		store_model_withdraw(&read);
		snprintf(id, sizeof(id), "full-%u", k);
		store_model_plan(x->model, &write);
		assert_int_equal(put(x, id, "x", 0, false), k < 2 ? -ENOSPC : 0);
		store_model_withdraw(&write);
		read = (struct store_model_fault){
			.fate = STORE_MODEL_EIO, .reads = true, .times = 1};
		store_model_plan(x->model, &read);
		assert_int_equal(get(x, 0, "any", 0, &g), -EIO);
		store_model_withdraw(&read);
	}
}

static void damage_is_told(void **state)
{
	struct fixture *x = *state;
	char name[STORE_NAME_MAX + 1];
	struct get g = {0};
	size_t len;
	assert_int_equal(put(x, "gate-7", "the gate", 0, false), 0);
	catalog_shard_name(name, catalog_shard_of("gate-7"));
	uint8_t *bytes = store_model_bytes(x->model, STORE_META, name, &len);
	bytes[0] ^= 0xff;
	assert_int_equal(get(x, 0, "gate-7", 0, &g), ERR_DAMAGED);
	assert_int_equal(put(x, "gate-7", "the gate", 0, false), ERR_DAMAGED);
	store_model_put(x->model, STORE_META, CATALOG_MAP_NAME, "short", 5);
	struct walk w = {.req.done = on_walk};
	catalog_walk(x->catalogs[0], &w.req, "", 10);
	wait_for(x, &w.told);
	assert_int_equal(w.req.status, ERR_DAMAGED);
}

static void a_shards_bytes(void **state)
{
	(void)state;
	struct catalog_shard shard = {0};
	struct buf *one = NULL, *two = NULL, *three = NULL;
	Steppe__Wire__Camera camera = STEPPE__WIRE__CAMERA__INIT;
	char *profiles[] = {"main", "sub"};
	camera.id = "gate-7";
	camera.name = "the gate";
	camera.division = "150102";
	camera.profiles = profiles;
	camera.n_profiles = 2;
	camera.added_us = 1795470000000000;
	camera.version = 4;
	assert_int_equal(catalog_shard_with(&shard, &camera, &one), 0);
	assert_int_equal(catalog_shard_read(&shard, one), 0);
	camera.id = "gate-12";
	camera.removed = true;
	assert_int_equal(catalog_shard_with(&shard, &camera, &two), 0);
	golden_check("catalogue-shard-1", two->data, two->len);
	catalog_shard_fini(&shard);
	assert_int_equal(catalog_shard_read(&shard, two), 0);
	assert_int_equal(shard.list->n_cameras, 2);
	assert_string_equal(shard.list->cameras[0]->id, "gate-12");
	assert_string_equal(catalog_shard_find(&shard, "gate-7")->profiles[1], "sub");
	assert_null(catalog_shard_find(&shard, "gate-8"));
	/* put in place of itself */
	assert_int_equal(catalog_shard_with(&shard, shard.list->cameras[1], &three), 0);
	assert_int_equal(three->len, two->len);
	assert_memory_equal(three->data, two->data, two->len);
	catalog_shard_fini(&shard);
	buf_unref(&one);
	buf_unref(&two);
	buf_unref(&three);
}

static void memory_may_fail(void **state)
{
	struct fixture *x = *state;
	static const enum alloc_fail_mode modes[] = {ALLOC_FAIL_ONCE, ALLOC_FAIL_ON};
	int n = 0;
	for (int m = 0; m < 2; m++) {
		bool failed = true;
		for (unsigned k = 0; failed; k++) {
			char id[32];
			struct put p;
			struct get g = {.req.done = on_get};
			struct walk w = {.req.done = on_walk};
			snprintf(id, sizeof(id), "mem-%d", n++);
			alloc_fail_after(k, modes[m]);
			start_put(x, 0, &p, id, "x", 0, false);
			catalog_get(x->catalogs[0], &g.req, id);
			catalog_walk(x->catalogs[0], &w.req, "", 3);
			wait_for(x, &p.told);
			wait_for(x, &g.told);
			wait_for(x, &w.told);
			failed = alloc_fail_stop();
			assert_true(failed || p.req.status == 0);
			camera_free(&p.req.camera);
			camera_free(&g.req.camera);
			catalog_walk_release(&w.req);
		}
	}
}

static void closed_at_any_moment(void **state)
{
	struct fixture *x = *state;
	for (int events = 0; events < 25; events++) {
		char id[32];
		struct put p[2];
		struct get g = {.req.done = on_get};
		struct walk w = {.req.done = on_walk};
		snprintf(id, sizeof(id), "close-%d", events);
		start_put(x, 0, &p[0], id, "x", 0, false);
		start_put(x, 0, &p[1], id, "y", 0, false);
		catalog_get(x->catalogs[0], &g.req, id);
		catalog_walk(x->catalogs[0], &w.req, "", 1000);
		for (int i = 0; i < events; i++)
			sim_step(&x->world);
		close_one(x, 0);
		assert_true(p[0].told && p[1].told && g.told && w.told);
		camera_free(&p[0].req.camera);
		camera_free(&p[1].req.camera);
		camera_free(&g.req.camera);
		catalog_walk_release(&w.req);
		assert_int_equal(catalog_new(&x->loops[0].loop, x->stores[0], &x->catalogs[0]), 0);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(cameras_come_and_go),
		TEST(answers_from_memory_are_as_old_as_allowed),
		TEST(all_cameras_in_steps),
		TEST(daemons_meet),
		TEST(answers_that_get_lost),
		TEST(each_operation_may_fail),
		TEST(damage_is_told),
		cmocka_unit_test(a_shards_bytes),
		TEST(memory_may_fail),
		TEST(closed_at_any_moment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
