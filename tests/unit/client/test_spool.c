/* SPDX-License-Identifier: Apache-2.0 */
/* The spool on good days, full, cut off at every byte, damaged at every byte, short of memory. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/errors.h"
#include "client/spool.h"
#include "client/steppe.h"
#include "tests/lib/alloc_fail.h"
#include "tests/lib/golden.h"
#include "tests/unit/client/made.h"

static char folder[64];
static const uint64_t fresh[LANES] = {11, 13};
static struct spool_dir dir;
static struct spool *spool;

static int set_up(void **state)
{
	(void)state;
	/* in memory where there is such a place: thousands of syncs are not what is tested */
	strcpy(folder, access("/dev/shm", W_OK) == 0 ? "/dev/shm/steppe-spool-XXXXXX"
						     : "/tmp/steppe-spool-XXXXXX");
	assert_non_null(mkdtemp(folder));
	assert_int_equal(spool_dir_open(folder, "gate-7/main", fresh, &dir), 0);
	assert_int_equal(spool_open(&dir, LANE_LIVE, 20000, &spool), 0);
	return 0;
}

static void close_all(void)
{
	spool_free(&spool);
	spool_dir_close(&dir);
}

static int tear_down(void **state)
{
	(void)state;
	char command[128];
	close_all();
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

/* Another program begins. */
static void reopen(void)
{
	close_all();
	assert_int_equal(spool_dir_open(folder, "gate-7/main", fresh, &dir), 0);
	assert_int_equal(spool_open(&dir, LANE_LIVE, 20000, &spool), 0);
}

static int append_item(struct item *item, uint64_t number)
{
	item->number = number;
	item->header.session = 11;
	item->header.seq = number;
	int rc = fragment_seal(&item->header, item->body->data, true);
	if (rc == 0)
		rc = spool_append(spool, item);
	item_free(&item);
	return rc;
}

static void append(uint64_t first, uint64_t count)
{
	for (uint64_t n = first; n < first + count; n++) {
		struct item *item = made_item((unsigned)n, 3000);
		if (n == 4) {
			item->gap_cause = 3;
			item->gap_from_us = MADE_START_US - 5;
		}
		assert_int_equal(append_item(item, n), 0);
	}
}

/* Everything from `first` on is there, in order, up to `last`. */
static void expect_numbers(uint64_t first, uint64_t last)
{
	uint64_t number = 0;
	struct item *item;
	for (uint64_t n = first; n <= last; n++) {
		assert_int_equal(spool_read(spool, n, &item, &number), 0);
		assert_int_equal(number, n);
		assert_int_equal(item->number, n);
		assert_int_equal(item->header.seq, n);
		assert_true(made_is(item, (unsigned)n));
		assert_true(item->in_spool && item->sealed);
		assert_int_equal(item->gap_cause, n == 4 ? 3 : 0);
		assert_int_equal(fragment_check_digest(&item->header, item->body->data), 0);
		item_free(&item);
	}
	assert_int_equal(spool_read(spool, last + 1, &item, &number), -ENODATA);
}

static unsigned files(void)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/gate-7@main", folder);
	DIR *d = opendir(path);
	unsigned count = 0;
	for (struct dirent *e; (e = readdir(d));)
		count += strncmp(e->d_name, "live.", 5) == 0;
	closedir(d);
	return count;
}

static void test_in_and_out(void **state)
{
	(void)state;
	struct item *item;
	uint64_t number;
	assert_int_equal(spool_read(spool, 1, &item, &number), -ENODATA);
	append(1, 20);
	expect_numbers(1, 20);
	struct spool_extent x = spool_extent(spool);
	assert_int_equal(x.count, 20);
	assert_int_equal(x.first, 1);
	assert_int_equal(x.last, 20);
	assert_int_equal(x.next, 21);
	assert_true(x.bytes > 20 * 3000 && x.bytes < x.disk_bytes);
	reopen();
	expect_numbers(1, 20);
	append(21, 3);
	reopen();
	expect_numbers(1, 23);
	assert_int_equal(spool_extent(spool).next, 24);
}

static void test_numbers_only_rise(void **state)
{
	(void)state;
	append(5, 2);
	assert_int_equal(append_item(made_item(0, 10), 6), -EINVAL);
	append(10, 1);
	struct item *item;
	uint64_t number;
	assert_int_equal(spool_read(spool, 7, &item, &number), 0);
	assert_int_equal(number, 10);
	item_free(&item);
}

static void test_delivered_files_go(void **state)
{
	(void)state;
	append(1, 30);
	unsigned before = files();
	assert_true(before >= 5);
	assert_int_equal(spool_drop(spool, 15), 0);
	assert_true(files() < before);
	expect_numbers(16, 30);
	assert_int_equal(spool_extent(spool).first, 16);
	assert_int_equal(spool_drop(spool, 30), 0);
	assert_int_equal(spool_extent(spool).count, 0);
	assert_int_equal(files(), 1);
	/* the one that is left still knows which numbers were given */
	reopen();
	assert_int_equal(spool_extent(spool).next, 31);
	append(31, 2);
	expect_numbers(31, 32);
	assert_int_equal(spool_drop(spool, 32), 0);
	assert_true(spool_extent(spool).disk_bytes < 20000);
}

static void test_other_configurations(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 8; n++)
		assert_int_equal(append_item(made_item_of(n, 500, n / 3), n), 0);
	reopen();
	for (unsigned n = 1; n <= 8; n++) {
		struct item *item, *expected = made_item_of(n, 500, n / 3);
		uint64_t number;
		assert_int_equal(spool_read(spool, n, &item, &number), 0);
		assert_int_equal(item->init->len, expected->init->len);
		assert_memory_equal(item->init->data, expected->init->data, item->init->len);
		item_free(&item);
		item_free(&expected);
	}
}

static void test_one_at_a_time(void **state)
{
	(void)state;
	struct spool_dir other;
	assert_int_equal(spool_dir_open(folder, "gate-7/main", fresh, &other), -EBUSY);
	assert_int_equal(spool_dir_holder(folder, "gate-7/main"), getpid());
	assert_int_equal(spool_dir_open(folder, "gate-7/sub", fresh, &other), 0);
	spool_dir_close(&other);
	assert_int_equal(spool_dir_holder(folder, "gate-7/sub"), 0);
	assert_int_equal(spool_dir_holder("/nowhere", "gate-7/main"), 0);
	assert_int_equal(spool_dir_open("/nowhere", "gate-7/main", fresh, &other), -ENOENT);
}

static void test_state(void **state)
{
	(void)state;
	assert_int_equal(dir.state.lane[0].session, 11);
	assert_int_equal(dir.state.lane[1].session, 13);
	for (uint64_t i = 1; i < 6; i++) {
		dir.state.lane[0].durable = i;
		dir.state.captured_until_us = (int64_t)i;
		assert_int_equal(spool_dir_save(&dir), 0);
		reopen();
		assert_int_equal(dir.state.lane[0].durable, i);
		assert_int_equal(dir.state.captured_until_us, i);
		assert_int_equal(dir.state.lane[1].session, 13);
	}
}

static void poke(const char *path, long at, int flip)
{
	FILE *file = fopen(path, "r+b");
	assert_non_null(file);
	fseek(file, at, SEEK_SET);
	int c = fgetc(file);
	fseek(file, at, SEEK_SET);
	fputc(c ^ flip, file);
	fclose(file);
}

/* A torn write of the state harms one slot; the other has the state before it. */
static void test_state_torn(void **state)
{
	(void)state;
	char path[128];
	snprintf(path, sizeof(path), "%s/gate-7@main/state", folder);
	dir.state.lane[0].durable = 1;
	assert_int_equal(spool_dir_save(&dir), 0);
	dir.state.lane[0].durable = 2;
	assert_int_equal(spool_dir_save(&dir), 0);
	long newest = dir.state.generation % 2 ? SPOOL_STATE_SLOT : 0;
	for (long at = 0; at < (long)SPOOL_STATE_SIZE; at++) {
		close_all();
		poke(path, newest + at, 0x41);
		assert_int_equal(spool_dir_open(folder, "gate-7/main", fresh, &dir), 0);
		assert_int_equal(dir.state.lane[0].durable, 1);
		spool_dir_close(&dir);
		poke(path, newest + at, 0x41);
	}
	/* both gone: new sessions, which the daemon does not know */
	static const uint64_t others[LANES] = {21, 23};
	poke(path, 3, 1);
	poke(path, SPOOL_STATE_SLOT + 3, 1);
	assert_int_equal(spool_dir_open(folder, "gate-7/main", others, &dir), 0);
	assert_int_equal(dir.state.lane[0].session, 21);
	assert_int_equal(spool_open(&dir, LANE_LIVE, 20000, &spool), 0);
}

static long size_of(const char *path)
{
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	return (long)st.st_size;
}

/* Wherever the last file was cut off: what is before is there, what is appended then is too. */
static void test_cut_off_at_every_byte(void **state)
{
	(void)state;
	char path[128], copy[160], command[400];
	for (unsigned n = 1; n <= 4; n++)
		assert_int_equal(append_item(made_item(n, 60), n), 0);
	close_all();
	snprintf(path, sizeof(path), "%s/gate-7@main/live.00000001", folder);
	snprintf(copy, sizeof(copy), "%s/copy", folder);
	snprintf(command, sizeof(command), "cp %s %s", path, copy);
	assert_int_equal(system(command), 0);
	long size = size_of(path);
	uint64_t seen = 0;
	for (long cut = 0; cut <= size; cut++) {
		snprintf(command, sizeof(command), "%s/gate-7@main/live.00000002", folder);
		(void)unlink(command);
		FILE *from = fopen(copy, "rb"), *to = fopen(path, "wb");
		for (long i = 0; i < cut; i++)
			fputc(fgetc(from), to);
		fclose(from);
		fclose(to);
		assert_int_equal(spool_dir_open(folder, "gate-7/main", fresh, &dir), 0);
		assert_int_equal(spool_open(&dir, LANE_LIVE, 20000, &spool), 0);
		struct spool_extent x = spool_extent(spool);
		assert_true(x.count >= seen && x.count <= 4);
		seen = x.count;
		for (uint64_t n = 1; n <= x.count; n++) {
			struct item *item;
			uint64_t number;
			assert_int_equal(spool_read(spool, n, &item, &number), 0);
			assert_true(made_is(item, (unsigned)n));
			item_free(&item);
		}
		assert_int_equal(append_item(made_item((unsigned)x.next, 60), x.next), 0);
		assert_int_equal(spool_extent(spool).count, x.count + 1);
		close_all();
	}
	assert_int_equal(seen, 4);
	set_up(NULL);
}

/* Wherever a bit is wrong: nothing false comes out, and what is whole still does. */
static void test_damaged_at_every_byte(void **state)
{
	(void)state;
	char path[128];
	for (unsigned n = 1; n <= 4; n++)
		assert_int_equal(append_item(made_item(n, 60), n), 0);
	snprintf(path, sizeof(path), "%s/gate-7@main/live.00000001", folder);
	for (long at = 0; at < size_of(path); at++) {
		close_all();
		poke(path, at, 0x10);
		assert_int_equal(spool_dir_open(folder, "gate-7/main", fresh, &dir), 0);
		assert_int_equal(spool_open(&dir, LANE_LIVE, 20000, &spool), 0);
		uint64_t number = 0;
		unsigned good = 0;
		for (uint64_t n = 1; n <= 4;) {
			struct item *item;
			int rc = spool_read(spool, n, &item, &number);
			if (rc == -ENODATA)
				break;
			if (rc == 0) {
				assert_true(made_is(item, (unsigned)number));
				item_free(&item);
				good++;
			} else {
				assert_int_equal(rc, ERR_DAMAGED);
			}
			n = number + 1;
		}
		assert_true(good < 4 || spool_extent(spool).count == 4);
		poke(path, at, 0x10);
	}
}

static void test_a_full_disk(void **state)
{
	(void)state;
	append(1, 3);
	/* a limit on files stands in for a full disk: writes end short, then fail */
	struct rlimit before, limit;
	getrlimit(RLIMIT_FSIZE, &before);
	limit = before;
	limit.rlim_cur = (rlim_t)spool_extent(spool).disk_bytes + 1000;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	int rc = append_item(made_item(4, 3000), 4);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(rc, -EFBIG);
	assert_int_equal(spool_extent(spool).count, 3);
	append(4, 2);
	expect_numbers(1, 5);
	reopen();
	expect_numbers(1, 5);
}

static void test_strange_files(void **state)
{
	(void)state;
	append(1, 2);
	char command[512];
	snprintf(command, sizeof(command),
		"cd %s/gate-7@main && echo x > live.00000000 && echo x > live.7 && echo x > "
		"live.zzzzzzzz && echo > live.00000009 &&"
		" cp live.00000001 live.00000005 && echo x > other",
		folder);
	assert_int_equal(system(command), 0);
	reopen();
	expect_numbers(1, 2);
	append(3, 1); /* above every file that is there */
	expect_numbers(1, 3);
}

/* The bytes of every level ever written can still be read, and are what is written today. */
static void test_golden(void **state)
{
	(void)state;
	char path[128];
	static uint8_t bytes[8192];
	for (unsigned n = 1; n <= 2; n++)
		assert_int_equal(append_item(made_item(n, 40), n), 0);
	struct item *item = made_item_of(4, 40, 1);
	item->gap_cause = STEPPE_GAP_CAMERA_OFF;
	item->gap_from_us = MADE_START_US + 3 * US_PER_SECOND;
	assert_int_equal(append_item(item, 4), 0);
	snprintf(path, sizeof(path), "%s/gate-7@main/live.00000001", folder);
	FILE *file = fopen(path, "rb");
	size_t len = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	golden_check("spool-segment-1", bytes, len);
	struct spool_state s = {.generation = 3, .captured_until_us = MADE_START_US};
	for (uint64_t i = 0; i < LANES; i++) {
		s.lane[i].session = 100 + i;
		s.lane[i].base = 7 * i;
		s.lane[i].durable = 9 + i;
	}
	spool_state_encode(&s, bytes);
	golden_check("spool-state-1", bytes, SPOOL_STATE_SIZE);
	struct spool_state again;
	assert_int_equal(spool_state_decode(bytes, SPOOL_STATE_SIZE, &again), 0);
	assert_memory_equal(&again, &s, sizeof(s));
}

static void short_of_memory(void *user)
{
	(void)user;
	struct spool_dir d;
	struct spool *s = NULL;
	char command[128]; /* each time the same: what is there takes memory */
	snprintf(command, sizeof(command), "rm -rf %s/gate-9@main", folder);
	assert_int_equal(system(command), 0);
	if (spool_dir_open(folder, "gate-9/main", fresh, &d) < 0)
		return;
	if (spool_open(&d, LANE_BACKFILL, 0, &s) == 0) {
		uint64_t next = spool_extent(s).next, number;
		struct item *item = made_item(1, 100);
		if (item) {
			item->number = next;
			item->header.session = 1;
			int rc = fragment_seal(&item->header, item->body->data, true);
			if (rc == 0)
				rc = spool_append(s, item);
			assert_true(rc == 0 || rc == -ENOMEM);
			uint64_t count = spool_extent(s).count;
			item_free(&item);
			if (rc == 0)
				rc = spool_read(s, next, &item, &number);
			assert_true(rc == 0 || rc == -ENOMEM);
			item_free(&item);
			assert_int_equal(spool_extent(s).count, count);
		}
	}
	spool_free(&s);
	spool_dir_close(&d);
}

static void test_short_of_memory(void **state)
{
	(void)state;
	alloc_fail_sweep(short_of_memory, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_in_and_out),
		TEST(test_numbers_only_rise),
		TEST(test_delivered_files_go),
		TEST(test_other_configurations),
		TEST(test_one_at_a_time),
		TEST(test_state),
		TEST(test_state_torn),
		TEST(test_cut_off_at_every_byte),
		TEST(test_damaged_at_every_byte),
		TEST(test_a_full_disk),
		TEST(test_strange_files),
		TEST(test_golden),
		TEST(test_short_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
