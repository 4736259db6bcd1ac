/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/session/owned_view.h"

#include "base/errors.h"

static void look(struct owned_view *req, struct writer *writer);

static void let_go(struct owned_view *req)
{
	if (req->held)
		keeper_release(&req->take);
	req->held = false;
}

static void on_view(struct reader_view *request)
{
	struct owned_view *req = container_of(request, struct owned_view, request);
	bool was_held = req->held;
	let_go(req);
	if (request->status == ERR_FENCED && was_held) {
		look(req, NULL); /* another owns it now: the store has what it acknowledged */
		return;
	}
	req->status = request->status;
	req->view = request->status ? NULL : request->view;
	req->done(req);
}

static void look(struct owned_view *req, struct writer *writer)
{
	req->request = (struct reader_view){.done = on_view};
	reader_view(req->service->config.reader, &req->request, req->stream, req->from, req->to,
		writer);
}

static void on_taken(struct keeper_take *take)
{
	struct owned_view *req = container_of(take, struct owned_view, take);
	req->held = !take->status;
	look(req, req->held ? take->writer : NULL);
}

void owned_view(struct service *s, struct owned_view *req, const char *stream, struct wall from,
	struct wall to)
{
	req->service = s;
	req->stream = stream;
	req->from = from;
	req->to = to;
	req->held = false;
	if (!keeper_find(s->config.keeper, stream)) {
		look(req, NULL);
		return;
	}
	req->take = (struct keeper_take){.done = on_taken};
	keeper_take(s->config.keeper, &req->take, stream);
}
