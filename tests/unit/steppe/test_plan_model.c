/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tools/steppe/plan_loads.h"
#include "tools/steppe/plan_model.h"

/* Round figures, so that the answers can be found by hand. */
static struct plan_site site(void)
{
	return (struct plan_site){.pool = {.copies = 3, .unit = 4096},
		.retention_s = 10 * 86400,
		.viewing = 0,
		.disk_bytes = 10e12,
		.disk_fill = 0.5,
		.disk_busy = 0.5,
		.disk_seek_s = 0.01,
		.disk_rate = 100e6,
		.host_disks = 10,
		.node_net = 10e9,
		.node_cores = 8,
		.node_cameras = 1000,
		.net_fill = 0.5,
		.cpu_fill = 0.5,
		.recorder_cameras = 100,
		.storaged_cpu = 2,
		.osd_cpu = 6,
		.cap = 1.05,
		.racks = 10};
}

static const struct plan_demand ten_thousand = {.cameras = 10000, .bits = 40e9};

static void near(double got, double expected)
{
	if (fabs(got - expected) > 1e-3 * fabs(expected) + 1e-9)
		fail_msg("%.9g, not %.9g", got, expected);
}

static void test_pools(void **state)
{
	(void)state;
	struct plan_pool p = {.unit = 4096};
	assert_int_equal(plan_pool_parse("replicated:3", &p), 0);
	assert_int_equal(p.copies, 3);
	near(plan_pool_factor(&p), 3);
	assert_int_equal(plan_pool_parse("ec:8+3", &p), 0);
	assert_int_equal(p.copies, 0);
	assert_int_equal(p.k, 8);
	assert_int_equal(p.m, 3);
	assert_int_equal(p.unit, 4096);
	near(plan_pool_factor(&p), 1.375);
	static const char *const bad[] = {"", "replicated", "replicated:", "replicated:0",
		"replicated:3x", "replicated:+3", "ec:8", "ec:8+", "ec:1+1", "ec:8+0", "ec:8+3+1",
		"ec:8-3", "raid:5", "ec:99+3"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(plan_pool_parse(bad[i], &p), -EINVAL);
	assert_int_equal(p.k, 8); /* untouched */
}

static void test_bytes_to_store(void **state)
{
	(void)state;
	struct plan_site s = site();
	struct plan_store r;
	plan_store_needs(&s, &ten_thousand, &r);
	/* a camera: 500,000 bytes a second, one fragment, one batch; a chunk a minute */
	near(r.batch_s, 1);
	near(r.batch_bytes, 500e3);
	near(r.chunk_s, 60);
	/* its box and digest, 25 pictures, a minute's part of a chunk's own, half an alignment */
	near(r.overhead, (216 + 55 + 1532 / 60.0 + 2048) / 500e3);
	near(r.bytes_kept, 5e9 * 864000 * (1 + r.overhead));
	near(r.bytes_a_day, r.bytes_kept / 10);
	near(r.raw_bytes, 3 * r.bytes_kept);
	near(r.chunks, 10000 * 14400.0);
	near(r.index_bytes, 3 * (r.chunks * 192 + 10000 * 8192.0));
}

static void test_disks_by_room(void **state)
{
	(void)state;
	struct plan_site s = site();
	struct plan_store r;
	plan_store_needs(&s, &ten_thousand, &r);
	assert_int_equal(r.disks_by, PLAN_BY_ROOM);
	near(r.disks, ceil((r.raw_bytes + r.index_bytes) / 5e12));
	near(r.hosts, ceil(r.disks / 10));
	/* three writes a camera and second, and six a chunk that comes and goes */
	double seeks = 10000 * (3 + 6 / (60 * (1 + r.overhead)));
	near(r.disk_busy, (seeks * 0.01 + 15e9 * (1 + r.overhead) / 100e6) / r.disks);
	/* OSDs: 6 s a GB, of which 23 % go by its 954 writes; here there are 2,000 */
	near(r.cores, ceil(5 * 6 * (0.77 + 0.23 * 2000 / 953.674) / 0.5));
	near(r.host_net_in, 8 * 15e9 / r.hosts);
	near(r.host_net_out, 8 * 10e9 / r.hosts);
	near(r.host_memory, r.disks / r.hosts * 4294967296.0 + 17179869184.0);
}

static void test_disks_by_seeks(void **state)
{
	(void)state;
	struct plan_site s = site();
	struct plan_store room, r;
	s.retention_s = 3600;
	plan_store_needs(&s, &ten_thousand, &r);
	assert_int_equal(r.disks_by, PLAN_BY_SEEKS);
	assert_true(r.disk_busy <= 0.5 && r.disk_busy > 0.49);
	/* what is viewed must be read */
	s.viewing = 1;
	plan_store_needs(&s, &ten_thousand, &room);
	assert_true(room.disks > r.disks);
	near(room.host_net_out * room.hosts, r.host_net_out * r.hosts + 40e9);
}

static void test_erasure_codes(void **state)
{
	(void)state;
	struct plan_site s = site();
	struct plan_store fine, coarse;
	s.pool = (struct plan_pool){.k = 8, .m = 3, .unit = 4096};
	plan_store_needs(&s, &ten_thousand, &fine);
	near(fine.raw_bytes, 1.375 * fine.bytes_kept);
	/* sixteen alignments of 32 KiB are just above a second's footage */
	near(fine.batch_bytes, 524288);
	/* eleven thirds of the writes, 1.375 thirds of the bytes, and the coding */
	near(fine.cores, ceil(5 * 6 * (0.77 * 1.375 / 3 + 0.65 + 0.23 * 2 * 11 / 3) / 0.5));
	near(fine.write_bytes, 65536);
	s.pool.unit = 16384;
	plan_store_needs(&s, &ten_thousand, &coarse);
	near(coarse.batch_bytes, 2097152);
	near(coarse.batch_s, 4.194);
	/* which takes fewer seeks, and fewer disks */
	assert_int_equal(fine.disks_by, PLAN_BY_SEEKS);
	assert_int_equal(coarse.disks_by, PLAN_BY_ROOM);
	assert_true(coarse.disk_busy * coarse.disks < fine.disk_busy * fine.disks / 3);
	/* a slow camera's batch does not wait for ever */
	struct plan_demand slow = {.cameras = 10, .bits = 10 * 80e3};
	plan_store_needs(&s, &slow, &coarse);
	near(coarse.batch_s, 9);
	assert_int_equal((int)coarse.hosts, 11);
}

static void test_chunks_of_fast_and_slow_cameras(void **state)
{
	(void)state;
	struct plan_site s = site();
	struct plan_store r;
	struct plan_demand d = {.cameras = 1, .bits = 40e6};
	plan_store_needs(&s, &d, &r);
	near(r.chunk_s, 33554432 / 5e6); /* 32 MiB */
	near(r.batch_bytes, 1048576);
	d.bits = 80e3;
	plan_store_needs(&s, &d, &r);
	near(r.chunk_s, 4194304 / 1e4); /* 4 MiB */
	d.bits = 8e3;
	plan_store_needs(&s, &d, &r);
	near(r.chunk_s, 900);
}

static void test_nodes(void **state)
{
	(void)state;
	struct plan_site s = site();
	struct plan_daemons r;
	plan_daemon_needs(&s, &ten_thousand, &r);
	/* ten by cameras, eight by network, 2.5 by cores */
	assert_int_equal(r.nodes_by, PLAN_BY_CAMERAS);
	near(r.units, 10);
	/* 10.5 must be left when the fullest of ten racks has gone */
	assert_int_equal((int)r.nodes, 13);
	s.node_net = 5e9;
	plan_daemon_needs(&s, &ten_thousand, &r);
	assert_int_equal(r.nodes_by, PLAN_BY_NET);
	near(r.units, 16);
	s.storaged_cpu = 40;
	plan_daemon_needs(&s, &ten_thousand, &r);
	assert_int_equal(r.nodes_by, PLAN_BY_CPU);
	near(r.units, 5 * 40 / 0.5 / 8);
	s = site();
	s.racks = 1;
	plan_daemon_needs(&s, &ten_thousand, &r);
	assert_int_equal((int)r.nodes, 12);
	const struct plan_demand few = {.cameras = 1, .bits = 4e6};
	plan_daemon_needs(&s, &few, &r);
	assert_int_equal((int)r.nodes, 2);
	s.racks = 10;
	plan_daemon_needs(&s, &few, &r);
	assert_int_equal((int)r.nodes, 2);
}

static void test_a_node(void **state)
{
	(void)state;
	struct plan_site s = site();
	struct plan_node r, more;
	plan_node_needs(&s, &ten_thousand, 10, 10, 1, &r);
	near(r.cameras, 1000);
	near(r.net, 4e9);
	near(r.cores, 0.5 * 2 / 0.5);
	assert_int_equal((int)r.recorders, 100);
	/* nearly every recorder has one of its hundred cameras there; and the other nodes */
	near(r.connections, 100 * (1 - pow(0.9, 100)) + 10);
	/* 1.2 s of footage, twice, is less than the least that is set */
	near(r.ingest_memory, 2147483648.0);
	near(r.memory, 2147483648.0 + 8 * 67108864.0 + 536870912.0 + r.connections * 30e3 +
			       1000 * ((7.6 + 0.6 + 3.45) * 1024 + 2 * 60 * (176 + 400)));
	plan_node_needs(&s, &ten_thousand, 10, 10, 3, &more);
	near(more.cameras, 3000);
	near(more.ingest_memory, 3000 * 500e3 * 1.2 * 2);
}

/* --- cameras --- */

static void test_mixes(void **state)
{
	(void)state;
	struct plan_mix m = {.spread = 7};
	const char *bad = NULL;
	assert_int_equal(plan_mix_parse((const char *const[]){"2M:3", "500k", NULL}, &m, &bad), 0);
	assert_int_equal(m.count, 2);
	assert_int_equal(m.kbps[0], 2000);
	assert_int_equal(m.parts[0], 3);
	assert_int_equal(m.kbps[1], 500);
	assert_int_equal(m.parts[1], 1);
	assert_int_equal(m.spread, 7);
	static const char *const wrong[] = {"", "x", "2M:", "2M:0", "2M:x", "999", "5G", "2M:3:1",
		"1234567890123456789012345M"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *const items[] = {"4M", wrong[i], NULL};
		assert_int_equal(plan_mix_parse(items, &m, &bad), -EINVAL);
		assert_ptr_equal(bad, wrong[i]);
	}
	assert_int_equal(m.count, 2);
}

static void test_loads(void **state)
{
	(void)state;
	struct plan_mix m = {.kbps = {2000, 4000, 8000}, .parts = {3, 6, 1}, .count = 3};
	struct placement_load *loads, *again;
	uint64_t sum, other;
	const size_t count = 20000;
	assert_int_equal(plan_loads_make(&m, 1, count, &loads, &sum), 0);
	size_t of[3] = {0};
	for (size_t i = 0; i < count; i++)
		of[loads[i].kbps == 2000 ? 0 : loads[i].kbps == 4000 ? 1 : 2]++;
	assert_in_range(of[0], count * 29 / 100, count * 31 / 100);
	assert_in_range(of[1], count * 59 / 100, count * 61 / 100);
	assert_int_equal(sum, of[0] * 2000 + of[1] * 4000 + of[2] * 8000);
	/* the same seed gives the same, another another */
	assert_int_equal(plan_loads_make(&m, 1, count, &again, &other), 0);
	assert_memory_equal(loads, again, count * sizeof(*loads));
	free(again);
	assert_int_equal(plan_loads_make(&m, 2, count, &again, &other), 0);
	assert_memory_not_equal(loads, again, count * sizeof(*loads));
	free(again);
	free(loads);
	/* a spread keeps the mean, and no camera falls silent */
	m = (struct plan_mix){.kbps = {4000}, .parts = {1}, .count = 1, .spread = 50};
	assert_int_equal(plan_loads_make(&m, 1, count, &loads, &sum), 0);
	double squares = 0;
	for (size_t i = 0; i < count; i++) {
		assert_true(loads[i].kbps >= 400);
		squares += pow(loads[i].kbps - 4000.0, 2);
	}
	assert_true(fabs((double)sum / (double)count - 4000) < 60);
	assert_true(fabs(sqrt(squares / (double)count) - 2000) < 80);
	free(loads);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pools),
		cmocka_unit_test(test_bytes_to_store),
		cmocka_unit_test(test_disks_by_room),
		cmocka_unit_test(test_disks_by_seeks),
		cmocka_unit_test(test_erasure_codes),
		cmocka_unit_test(test_chunks_of_fast_and_slow_cameras),
		cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_a_node),
		cmocka_unit_test(test_mixes),
		cmocka_unit_test(test_loads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
