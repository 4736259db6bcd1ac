/* SPDX-License-Identifier: Apache-2.0 */
/* fsck without a daemon: opens the store itself (and its lock sees to it that nobody else has), and
 * goes through its streams one by one on a loop of its own. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/errors.h"
#include "base/loop_uv.h"
#include "storaged/archive/objects.h"
#include "storaged/archive/rebuild.h"
#include "storaged/store/store.h"
#include "tools/steppe/complain.h"
#include "tools/steppe/fsckreport.h"

struct offline {
	struct fsckreport *report;
	const char *only; /* the one stream to check; NULL: all */
	struct loop_uv loop;
	struct store *store;
	struct object_streams streams;
	struct rebuild rebuild;
	struct fsck fsck;
	size_t next; /* stream to be checked */
	char owner[64];
	int error;
	struct loop_task begin, closed;
};

static void check_next(struct offline *o);

static void on_closed(struct loop_task *task)
{
	struct offline *o = container_of(task, struct offline, closed);
	loop_uv_stop(&o->loop);
}

static void finish(struct offline *o, int error)
{
	o->error = error;
	o->closed.run = on_closed;
	store_free(&o->store, &o->closed);
}

static void forward(struct offline *o, const char *stream, const struct fsck_finding *f)
{
	struct steppe_fsck_finding finding = {
		f->object, f->what, f->from.us, f->to.us, f->repaired};
	fsckreport_finding(o->report, stream, &finding);
}

static void on_fsck_finding(struct fsck *f, const struct fsck_finding *finding)
{
	forward(container_of(f, struct offline, fsck), f->stream, finding);
}

static void on_fsck_progress(struct fsck *f)
{
	fsckreport_progress(container_of(f, struct offline, fsck)->report, f->bytes);
}

static void on_fsck_done(struct fsck *f)
{
	struct offline *o = container_of(f, struct offline, fsck);
	fsckreport_checked(o->report, f->chunks, f->bytes);
	if (f->status)
		finish(o, f->status);
	else
		check_next(o);
}

static void start_fsck(struct offline *o, const char *stream)
{
	o->fsck = (struct fsck){.loop = &o->loop.loop,
		.store = o->store,
		.stream = stream,
		.level = (enum probe_level)o->report->level,
		.list = true,
		.finding = on_fsck_finding,
		.progress = on_fsck_progress,
		.done = on_fsck_done};
	fsck_start(&o->fsck);
}

static void on_rebuild_finding(struct rebuild *r, const struct fsck_finding *finding)
{
	forward(container_of(r, struct offline, rebuild), r->stream, finding);
}

static void on_rebuild_done(struct rebuild *r)
{
	struct offline *o = container_of(r, struct offline, rebuild);
	if (r->status)
		finish(o, r->status);
	else
		start_fsck(o, r->stream);
}

static void check_one(struct offline *o, const char *stream)
{
	if (!o->report->rebuild) {
		start_fsck(o, stream);
		return;
	}
	o->rebuild = (struct rebuild){.loop = &o->loop.loop,
		.store = o->store,
		.stream = stream,
		.owner = o->owner,
		.finding = on_rebuild_finding,
		.done = on_rebuild_done};
	rebuild_start(&o->rebuild);
}

static void check_next(struct offline *o)
{
	size_t count = o->only ? 1 : o->streams.count;
	if (o->next == count)
		finish(o, 0);
	else
		check_one(o, o->only ? (o->next++, o->only) : o->streams.names[o->next++]);
}

static void on_streams(struct object_streams *s)
{
	struct offline *o = container_of(s, struct offline, streams);
	if (s->status)
		finish(o, s->status);
	else
		check_next(o);
}

static void on_begin(struct loop_task *task)
{
	struct offline *o = container_of(task, struct offline, begin);
	if (o->only) {
		check_next(o);
		return;
	}
	o->streams = (struct object_streams){.store = o->store, .done = on_streams};
	object_streams_start(&o->streams);
}

static int run_loop(struct offline *o, struct store_backend *backend)
{
	int error = loop_uv_init(&o->loop);
	if (error)
		return error;
	o->store = store_new(backend, &o->loop.loop);
	if (o->store) {
		snprintf(o->owner, sizeof(o->owner), "fsck:%016llx",
			(unsigned long long)loop_random(&o->loop.loop));
		o->begin.run = on_begin;
		loop_defer(&o->loop.loop, &o->begin);
		loop_uv_run(&o->loop);
		error = o->error;
	} else {
		error = -ENOMEM;
	}
	object_streams_fini(&o->streams);
	loop_uv_fini(&o->loop);
	return error;
}

enum exit_code fsck_offline(struct fsckreport *r, const char *url, const char *stream)
{
	struct store_backend *backend;
	char why[256];
	int error = strncmp(url, "file://", 7) == 0
			    ? store_backend_open(url, &backend, why, sizeof(why))
			    : ERR_CONFIG;
	if (error) {
		if (strncmp(url, "file://", 7) != 0)
			snprintf(why, sizeof(why),
				"--store is for local stores, file:///DIR; others are checked "
				"through their daemons");
		complain(r->call, why,
			error == -EBUSY ? "stop storaged first, or steppe fsck CAMERA through it"
					: NULL);
		return error == -EBUSY ? ENDED_FAILURE : exit_code_of(error);
	}
	struct offline *o = calloc(1, sizeof(*o));
	if (!o) {
		store_backend_close(&backend);
		return complain_of(r->call, -ENOMEM, url);
	}
	o->report = r;
	o->only = stream;
	fsckreport_begin(r);
	error = run_loop(o, backend);
	free(o);
	store_backend_close(&backend);
	return fsckreport_end(r, error, stream ? stream : url);
}
