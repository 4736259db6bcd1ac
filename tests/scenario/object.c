/* SPDX-License-Identifier: Apache-2.0 */
/* An object of a store, behind the back of everything that guards it: what a scenario needs to damage
 * an index. The local store must not be open elsewhere.
 *
 *	object URL list POOL PREFIX           names and sizes, a line each
 *	object URL get POOL NAME FILE         its bytes
 *	object URL put POOL NAME FILE         other bytes under the same attributes (pool 0)
 *	object URL remove POOL NAME
 *	object URL attr POOL NAME ATTR VALUE  an attribute of it */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/errors.h"
#include "base/loop_uv.h"
#include "storaged/store/store.h"

struct object {
	struct loop_uv loop;
	struct store *store;
	char **argv; /* URL, verb, pool, name ... */
	struct store_read read;
	struct store_write write;
	struct store_list list;
	struct loop_task begin, closed;
	struct slice body;
	int status;
};

static int pool_of(const struct object *o)
{
	return atoi(o->argv[2]);
}

static void on_closed(struct loop_task *task)
{
	loop_uv_stop(&container_of(task, struct object, closed)->loop);
}

static void finish(struct object *o, int status)
{
	o->status = status;
	slice_drop(&o->body);
	o->closed.run = on_closed;
	store_free(&o->store, &o->closed);
}

static void on_each(struct store_list *req, const char *name, uint64_t size)
{
	(void)req;
	printf("%s %" PRIu64 "\n", name, size);
}

static void on_listed(struct store_list *req)
{
	finish(container_of(req, struct object, list), req->status);
}

static void on_read(struct store_read *req)
{
	struct object *o = container_of(req, struct object, read);
	int status = req->status;
	if (status == 0) {
		FILE *file = fopen(o->argv[4], "wb");
		if (!file || fwrite(req->body->data, 1, req->body->len, file) != req->body->len)
			status = -EIO;
		if (file && fclose(file))
			status = -EIO;
	}
	buf_unref(&req->body);
	store_read_release(req);
	finish(o, status);
}

static void on_written(struct store_write *req)
{
	finish(container_of(req, struct object, write), req->status);
}

static struct buf *read_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct buf *buf = file ? buf_new(STORE_OBJECT_MAX) : NULL;
	if (buf)
		buf->len = fread(buf->data, 1, buf->len, file);
	if (file)
		fclose(file);
	return buf;
}

static void change(struct object *o, const char *verb)
{
	struct store_guard guard = {.kind = STORE_EXISTS};
	struct store_edits edits = {.guards = &guard, .guard_count = 1};
	struct store_attr attr = {0};
	struct buf *buf = NULL;
	if (strcmp(verb, "put") == 0) {
		buf = read_file(o->argv[4]);
		if (!buf) {
			finish(o, -ENOENT);
			return;
		}
		o->body = slice_of(buf, 0, buf->len);
		buf_unref(&buf);
		edits.body_kind = STORE_BODY_WHOLE;
		edits.body = &o->body;
		edits.body_count = 1;
	} else if (strcmp(verb, "remove") == 0) {
		edits.body_kind = STORE_BODY_REMOVE;
	} else {
		attr = (struct store_attr){o->argv[4], o->argv[5], strlen(o->argv[5])};
		edits.attrs = &attr;
		edits.attr_count = 1;
	}
	o->write.done = on_written;
	store_write(o->store, &o->write, pool_of(o), o->argv[3], &edits);
}

static void on_begin(struct loop_task *task)
{
	struct object *o = container_of(task, struct object, begin);
	const char *verb = o->argv[1];
	if (strcmp(verb, "list") == 0) {
		o->list = (struct store_list){.each = on_each, .done = on_listed};
		store_list(o->store, &o->list, pool_of(o), o->argv[3]);
	} else if (strcmp(verb, "get") == 0) {
		o->read = (struct store_read){
			.done = on_read, .want_body = true, .len = STORE_OBJECT_MAX};
		store_read(o->store, &o->read, pool_of(o), o->argv[3]);
	} else {
		change(o, verb);
	}
}

static bool understood(int argc, char **argv)
{
	static const struct {
		const char *verb;
		int words;
	} verbs[] = {{"list", 5}, {"get", 6}, {"put", 6}, {"remove", 5}, {"attr", 7}};
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (argc == verbs[i].words && strcmp(argv[2], verbs[i].verb) == 0)
			return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	static struct object o;
	char why[256] = "no memory";
	struct store_backend *backend;
	if (!understood(argc, argv))
		return fprintf(stderr, "usage: object URL list|get|put|remove|attr ...\n"), 2;
	int error = store_backend_open(argv[1], &backend, why, sizeof(why));
	if (error)
		return fprintf(stderr, "%s: %s\n", argv[1], why), 1;
	o.argv = argv + 1;
	error = loop_uv_init(&o.loop);
	if (!error) {
		o.store = store_new(backend, &o.loop.loop);
		CHECK(o.store);
		o.begin.run = on_begin;
		loop_defer(&o.loop.loop, &o.begin);
		loop_uv_run(&o.loop);
		loop_uv_fini(&o.loop);
		error = o.status;
	}
	store_backend_close(&backend);
	if (error)
		fprintf(stderr, "%s: %s\n", argv[4], err_text(error));
	return error ? 1 : 0;
}
