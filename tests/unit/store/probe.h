/* SPDX-License-Identifier: Apache-2.0 */
/* One store behind calls that wait for their answer, whichever it is: the model on virtual time,
 * or a real one on libuv. */
#pragma once

#include "base/loop_uv.h"
#include "storaged/store/store.h"
#include "tests/lib/sim_loop.h"
#include "tests/lib/store_model.h"

struct probe {
	struct store_backend *backend;
	struct store *store;
	/* private */
	struct loop_task closed;
	bool is_closed, simulated, shared;
	struct sim_world world;
	struct sim_loop sim;
	struct loop_uv uv;
};

/* Requests under way at once, at most. */
#define PROBE_BATCH_MAX 16

/* What a read shows: an object as a whole. */
struct probe_object {
	int status;
	uint64_t size;
	struct store_read read; /* attributes and body, as long as probe_drop was not called */
};

void probe_open_model(struct probe *p, const struct store_model_options *options);
/* Fails the test with the store's own words when it does not open. */
void probe_open_url(struct probe *p, const char *url);
/* A second store of the same backend, on a loop of its own, for another thread. */
void probe_share(struct probe *p, const struct probe *other);
/* Frees the store, waits for closed() and closes the backend unless it is another probe's. */
void probe_close(struct probe *p);

/* Turns the loop until *flag is not 0. */
void probe_wait(struct probe *p, const int *flag);

int probe_write(struct probe *p, int pool, const char *name, const struct store_edits *edits);
/* Several at once, on different objects. */
struct probe_write {
	int pool, status;
	const char *name;
	struct store_edits edits;
	/* private */
	struct store_write req;
	int *left;
};
void probe_write_all(struct probe *p, struct probe_write *writes, unsigned count);
/* The whole object. */
void probe_get(struct probe *p, int pool, const char *name, struct probe_object *ret_object);
void probe_drop(struct probe_object *object);
/* A range alone; the status, and the body in *ret_body (NULL when it failed). */
int probe_range(struct probe *p, int pool, const char *name, uint64_t offset, size_t len,
	struct buf **ret_body);
int probe_remove(struct probe *p, int pool, const char *name);
int probe_space(struct probe *p, int pool, uint64_t *ret_total, uint64_t *ret_used);

/* Names and sizes as a listing shows them, sorted by name; of too many only some. */
struct probe_listing {
	int status;
	unsigned count;
	struct probe_listed {
		char name[STORE_NAME_MAX + 1];
		uint64_t size;
	} entries[256];
};
void probe_list(struct probe *p, int pool, const char *prefix, struct probe_listing *ret_listing);
/* Removes every object whose name has the prefix. */
void probe_remove_all(struct probe *p, int pool, const char *prefix);

/* A slice of `len` bytes that depend on `seed` alone, with the only reference. */
struct slice probe_bytes(uint64_t seed, size_t len);
