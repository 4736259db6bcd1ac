/* SPDX-License-Identifier: Apache-2.0 */
/* The policies of retention, for people who manage them. */
#include <errno.h>
#include <stdlib.h>

#include "base/errors.h"
#include "storaged/archive/policies.h"
#include "storaged/session/machines.h"

struct policy {
	struct request request;
	union {
		struct policies_get get;
		struct policies_edit edit;
	} ask;
};

static void on_frame(struct request *req, const struct frame *frame)
{
	(void)req;
	(void)frame; /* one question, one answer */
}

static void on_gone(struct request *req)
{
	(void)req; /* the operation ends by itself */
}

static const struct request_ops policy_ops = {.frame = on_frame, .gone = on_gone};

static struct policy *begin(struct conn *conn, uint32_t stream)
{
	struct policy *p = calloc(1, sizeof(*p));
	if (!p || request_attach(&p->request, &policy_ops, conn, stream)) {
		conn_refuse(conn, stream, REFUSAL_OVERLOAD, NULL);
		free(p);
		return NULL;
	}
	return p;
}

static int refusal_of(int status)
{
	switch (status) {
	case ERR_GUARD:
		return REFUSAL_CONFLICT;
	case -ENOENT:
	case -EINVAL:
	case -EBUSY: /* asking again does not help */
		return REFUSAL_NAME;
	case ERR_LIMIT:
		return REFUSAL_TOO_LARGE;
	default:
		return refusal_of_error(status);
	}
}

static void answer(
	struct policy *p, int status, const char *words, Steppe__Wire__Policies *policies)
{
	if (status)
		request_refuse(&p->request, refusal_of(status), 0, words ? "%s" : NULL, words);
	else
		request_send(&p->request, FRAME_POLICIES, &policies->base, NULL, 0);
	if (policies)
		steppe__wire__policies__free_unpacked(policies, NULL);
	request_detach(&p->request);
	free(p);
}

static void on_got(struct policies_get *get)
{
	answer(container_of(get, struct policy, ask.get), get->status, NULL, get->policies);
}

void policy_get(struct conn *conn, const struct frame *frame)
{
	struct policy *p = begin(conn, frame->header.stream);
	if (!p)
		return;
	p->ask.get = (struct policies_get){.done = on_got};
	policies_get(conn->service->config.store, &p->ask.get);
}

static void on_edited(struct policies_edit *edit)
{
	answer(container_of(edit, struct policy, ask.edit), edit->status, edit->words,
		edit->policies);
}

static void put_on_record(const struct conn *conn, const Steppe__Wire__PoliciesEdit *edit)
{
	char text[AUDIT_TEXT];
	const Steppe__Wire__PolicyAssignment *a = edit->assign ? edit->assign : edit->unassign;
	if (edit->put)
		audit(conn, "policy-set", "policy=%s floor_us=%lld ceiling_us=%lld class=%u",
			audit_text(text, edit->put->name), (long long)edit->put->floor_us,
			(long long)edit->put->ceiling_us, edit->put->class_);
	else if (edit->remove[0])
		audit(conn, "policy-remove", "policy=%s", audit_text(text, edit->remove));
	else if (a)
		audit(conn, edit->assign ? "policy-assign" : "policy-unassign", "kind=%u target=%s",
			a->kind, audit_text(text, a->target));
}

void policy_edit(struct conn *conn, const struct frame *frame)
{
	struct service *s = conn->service;
	Steppe__Wire__PoliciesEdit *ask =
		conn_unpack(conn, frame, &steppe__wire__policies_edit__descriptor);
	if (!ask)
		return;
	struct policy *p = begin(conn, frame->header.stream);
	if (p) {
		put_on_record(conn, ask);
		p->ask.edit = (struct policies_edit){.done = on_edited};
		policies_edit(s->config.loop, s->config.store, &p->ask.edit, ask);
	}
	steppe__wire__policies_edit__free_unpacked(ask, NULL);
}
