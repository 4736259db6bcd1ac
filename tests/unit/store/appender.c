/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/store/appender.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/errors.h"

static void send_append(struct appender *a);

static struct slice body_of(const struct appender *a, unsigned n)
{
	return probe_bytes(a->seed * 10007 + n, a->len);
}

static void stop(struct appender *a, int failure)
{
	a->failure = failure;
	a->busy = false;
	slice_drop(&a->body);
	--*a->running;
}

static void acknowledged(struct appender *a)
{
	a->acknowledged++;
	a->in_doubt = false;
	slice_drop(&a->body);
	if (a->acknowledged == a->target)
		stop(a, 0);
	else
		send_append(a);
}

static void on_read(struct store_read *req)
{
	struct appender *a = container_of(req, struct appender, read);
	size_t len;
	const char *at = store_read_attr(req, "len", &len);
	bool applied = !req->status && len == 16 && memcmp(at, a->next, 16) == 0;
	int status = req->status;
	store_read_release(req);
	if (status == -ETIMEDOUT) {
		store_read(a->probe->store, &a->read, a->pool, a->name);
	} else if (applied) {
		a->settled++;
		acknowledged(a);
	} else {
		stop(a, status ? status : ERR_GUARD);
	}
}

static void on_written(struct store_write *req)
{
	struct appender *a = container_of(req, struct appender, write);
	switch (req->status) {
	case 0:
		acknowledged(a);
		break;
	case ERR_UNKNOWN:
		a->unknown++;
		a->in_doubt = true;
		send_append(a);
		break;
	case -ETIMEDOUT:
		a->refused++;
		send_append(a);
		break;
	case ERR_GUARD:
	case -EEXIST:
		/* somebody was here before: only we ourselves can have been */
		if (!a->in_doubt) {
			stop(a, req->status);
			break;
		}
		a->read = (struct store_read){.done = on_read, .want_attrs = true};
		store_read(a->probe->store, &a->read, a->pool, a->name);
		break;
	default:
		stop(a, req->status);
	}
}

static void send_append(struct appender *a)
{
	uint64_t offset = a->acknowledged * a->len;
	(void)snprintf(a->at, sizeof(a->at), "%016llx", (unsigned long long)offset);
	(void)snprintf(a->next, sizeof(a->next), "%016llx", (unsigned long long)(offset + a->len));
	if (!a->body.buf)
		a->body = body_of(a, a->acknowledged);
	const struct store_guard absent = {.kind = STORE_ABSENT};
	const struct store_guard here = {
		.kind = STORE_ATTR_EQUAL, .attr = "len", .value = a->at, .value_len = 16};
	const struct store_attr len = {"len", a->next, 16};
	a->write = (struct store_write){.done = on_written};
	store_write(a->probe->store, &a->write, a->pool, a->name,
		&(struct store_edits){.guards = offset ? &here : &absent,
			.guard_count = 1,
			.attrs = &len,
			.attr_count = 1,
			.body_kind = STORE_BODY_WRITE_AT,
			.offset = offset,
			.body = &a->body,
			.body_count = 1});
}

void appender_start(struct appender *a, struct probe *p, int pool, const char *name, size_t len)
{
	*a = (struct appender){.probe = p, .pool = pool, .len = len};
	(void)snprintf(a->name, sizeof(a->name), "%s", name);
	for (const char *c = name; *c; c++)
		a->seed = a->seed * 31 + (uint64_t)*c;
}

void appender_go_on(struct appender *a, int *running)
{
	a->running = running;
	if (a->acknowledged >= a->target || a->failure)
		return;
	++*running;
	a->busy = true;
	send_append(a);
}

void appender_verify(struct appender *a, struct probe *p)
{
	struct probe_object object;
	assert_int_equal(a->failure, 0);
	probe_get(p, a->pool, a->name, &object);
	assert_int_equal(object.status, 0);
	assert_int_equal(object.size, a->acknowledged * a->len);
	for (unsigned n = 0; n < a->acknowledged; n++) {
		struct slice body = body_of(a, n);
		assert_memory_equal(object.read.body->data + n * a->len, body.data, a->len);
		slice_drop(&body);
	}
	probe_drop(&object);
}
