/* SPDX-License-Identifier: Apache-2.0 */
/* A local store in a directory of its own, for the tests of it. */
#pragma once

#include "tests/unit/store/probe.h"

struct local_fixture {
	char top[64];  /* everything below it goes with local_end */
	char root[80]; /* the store's directory */
	char url[512];
	struct probe probe;
	bool is_open;
};

/* Makes the place; the store is not open yet, its directory not there. */
void local_begin(struct local_fixture *f);
/* Opens the store with `query` ("" or "?quota=...") behind its url. */
void local_open(struct local_fixture *f, const char *query);
void local_shut(struct local_fixture *f);
/* Shuts the store if it is open, and removes everything. */
void local_end(struct local_fixture *f);
/* The same for cmocka. */
int local_setup(void **state);
int local_teardown(void **state);
/* The same on a disk that is watched (tests/lib/crash_disk.h) and can be made to fail; the store is open. */
int local_watched_setup(void **state);
int local_watched_teardown(void **state);

/* Creates an object of `len` bytes that depend on `seed`; the status. */
int local_create(struct local_fixture *f, int pool, const char *name, uint64_t seed, size_t len);
/* Writes `len` such bytes at `offset` of an object that is there. */
int local_write_at(
	struct local_fixture *f, int pool, const char *name, uint64_t offset, struct slice *body);
/* Fails the test unless the object is those bytes. */
void local_assert_body(
	struct local_fixture *f, int pool, const char *name, uint64_t seed, size_t len);
int local_status(struct local_fixture *f, int pool, const char *name);
/* The path of a data object's file, and whether it is there. */
void local_file_path(struct local_fixture *f, const char *name, char *to, size_t size);
bool local_file_exists(struct local_fixture *f, const char *name);
