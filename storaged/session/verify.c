/* SPDX-License-Identifier: Apache-2.0 */
/* A stream verified, or its index made anew, for an admin: FSCK. Verifying runs beside the owner; a
 * rebuild needs the stream to itself.
 *
 *	        +--> CHECKING ---------------------------------> answered
 *	begun --+
 *	        +--> BORROWING --the keeper lets go--> REBUILDING --> answered, and given back */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "proto/names.h"
#include "storaged/archive/rebuild.h"
#include "storaged/session/machines.h"

#define FINDINGS_MAX 10000 /* told one by one; of more only the count */

enum verify_state { VERIFY_CHECKING, VERIFY_BORROWING, VERIFY_REBUILDING };

struct verify {
	struct request request;
	struct service *service;
	enum verify_state state;
	char stream[STREAM_NAME_MAX + 1];
	char owner[96];
	union {
		struct fsck fsck;
		struct rebuild rebuild;
	} work;
	struct keeper_lend lend; /* REBUILDING: the stream is ours until it is returned */
	bool gone;               /* BORROWING: nobody waits for the answer any more */
	unsigned told;
};

static void finish(struct verify *v)
{
	if (v->state == VERIFY_REBUILDING)
		keeper_return(&v->lend);
	request_detach(&v->request);
	free(v);
}

static void tell(struct verify *v, const struct fsck_finding *finding)
{
	if (v->told++ >= FINDINGS_MAX)
		return;
	Steppe__Wire__FsckFinding message = STEPPE__WIRE__FSCK_FINDING__INIT;
	/* the library's structure has no const; packing does not write */
	message.object = (char *)(uintptr_t)finding->object;
	message.what = (char *)(uintptr_t)finding->what;
	message.from_us = finding->from.us;
	message.to_us = finding->to.us;
	message.repaired = finding->repaired;
	request_send(&v->request, FRAME_FSCK_FINDING, &message.base, NULL, 0);
}

static void answer(struct verify *v, int status, const Steppe__Wire__FsckEnd *end)
{
	if (status == -ENOENT)
		request_refuse(&v->request, REFUSAL_UNKNOWN_STREAM, 0, NULL);
	else if (status == ERR_FENCED)
		request_refuse(&v->request, REFUSAL_CONFLICT, 0,
			"the stream was taken meanwhile; what was rebuilt is good, ask again");
	else if (status)
		request_refuse(&v->request, refusal_of_error(status), 0, NULL);
	else
		request_send(&v->request, FRAME_FSCK_END, &end->base, NULL, 0);
	finish(v);
}

/* --- checking
 * ----------------------------------------------------------------------------------------------------------------
 */

static void on_finding(struct fsck *f, const struct fsck_finding *finding)
{
	tell(container_of(f, struct verify, work.fsck), finding);
}

static void on_checked(struct fsck *f)
{
	Steppe__Wire__FsckEnd end = STEPPE__WIRE__FSCK_END__INIT;
	end.chunks = f->chunks;
	end.bytes = f->bytes;
	end.findings = f->findings;
	answer(container_of(f, struct verify, work.fsck), f->status, &end);
}

static void check(struct verify *v, uint32_t level)
{
	v->state = VERIFY_CHECKING;
	v->work.fsck = (struct fsck){
		.loop = v->service->config.loop,
		.store = v->service->config.store,
		.stream = v->stream,
		.level = (enum probe_level)level,
		.finding = on_finding,
		.done = on_checked,
	};
	fsck_start(&v->work.fsck);
}

/* --- rebuilding
 * --------------------------------------------------------------------------------------------------------------
 */

static void on_repaired(struct rebuild *r, const struct fsck_finding *finding)
{
	tell(container_of(r, struct verify, work.rebuild), finding);
}

static void on_rebuilt(struct rebuild *r)
{
	Steppe__Wire__FsckEnd end = STEPPE__WIRE__FSCK_END__INIT;
	end.chunks = r->chunks;
	end.bytes = r->bytes;
	end.findings = r->findings;
	answer(container_of(r, struct verify, work.rebuild), r->status, &end);
}

static void rebuild(struct verify *v)
{
	v->work.rebuild = (struct rebuild){
		.loop = v->service->config.loop,
		.store = v->service->config.store,
		.stream = v->stream,
		.owner = v->owner,
		.finding = on_repaired,
		.done = on_rebuilt,
	};
	rebuild_start(&v->work.rebuild);
}

/* Whoever records the stream is told that it is being taken, keeps what is not durable, and goes on
 * when the rebuild is through. */
static void on_lent(struct keeper_lend *lend)
{
	struct verify *v = container_of(lend, struct verify, lend);
	if (lend->status) {
		if (!v->gone)
			request_refuse(&v->request, -lend->status, 0, NULL);
		finish(v);
		return;
	}
	v->state = VERIFY_REBUILDING;
	if (v->gone)
		finish(v);
	else
		rebuild(v);
}

static void borrow(struct verify *v)
{
	v->state = VERIFY_BORROWING;
	v->lend = (struct keeper_lend){.done = on_lent};
	keeper_lend(v->service->config.keeper, &v->lend, v->stream);
}

/* --- asking
 * ------------------------------------------------------------------------------------------------------------------
 */

static void on_frame(struct request *req, const struct frame *frame)
{
	(void)req;
	(void)frame; /* nothing but STOP makes sense, and it does not come this way */
}

static void on_gone(struct request *req)
{
	struct verify *v = container_of(req, struct verify, request);
	if (v->state == VERIFY_CHECKING)
		fsck_stop(&v->work.fsck);
	else if (v->state == VERIFY_REBUILDING)
		rebuild_stop(&v->work.rebuild);
	else
		v->gone = true; /* the keeper answers in any case */
}

static const struct request_ops verify_ops = {.frame = on_frame, .gone = on_gone};

static void begin(struct conn *conn, uint32_t stream, const Steppe__Wire__Fsck *ask)
{
	if (stream_name_split(ask->stream, NULL, NULL)) {
		conn_refuse(conn, stream, REFUSAL_NAME, NULL);
		return;
	}
	if (!ask->rebuild_index && (ask->level < PROBE_ATTRS || ask->level > PROBE_DEEP)) {
		conn_refuse(conn, stream, REFUSAL_PROTOCOL, "levels are 1 to 3");
		return;
	}
	struct verify *v = calloc(1, sizeof(*v));
	if (!v || request_attach(&v->request, &verify_ops, conn, stream)) {
		conn_refuse(conn, stream, REFUSAL_OVERLOAD, NULL);
		free(v);
		return;
	}
	audit(conn, ask->rebuild_index ? "rebuild-index" : "fsck", "stream=%s level=%u",
		ask->stream, ask->level);
	v->service = conn->service;
	memcpy(v->stream, ask->stream, strlen(ask->stream) + 1);
	snprintf(v->owner, sizeof(v->owner), "%s:%016llx", v->service->config.node,
		(unsigned long long)loop_random(v->service->config.loop));
	if (ask->rebuild_index)
		borrow(v);
	else
		check(v, ask->level);
}

void verify_begin(struct conn *conn, const struct frame *frame)
{
	Steppe__Wire__Fsck *ask = conn_unpack(conn, frame, &steppe__wire__fsck__descriptor);
	if (!ask)
		return;
	begin(conn, frame->header.stream, ask);
	steppe__wire__fsck__free_unpacked(ask, NULL);
}
