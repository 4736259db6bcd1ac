/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a stream that is READY is still ours. A daemon that was cut off or stopped keeps streams
 * READY that others have taken since, until something it writes is refused; what it told a recorder
 * meanwhile ("your next number is ...") would come out of the past, and be believed by one that has
 * lost its memory. One read of the head serves all who wait; who comes while it is under way shares
 * the next. */
#include <errno.h>

#include "base/check.h"
#include "base/log.h"
#include "proto/refusal.h"
#include "storaged/archive/attrs.h"
#include "storaged/archive/rules.h"
#include "storaged/ownership/keeper_impl.h"

static void on_read(struct store_read *read);

static void start(struct keep *keep)
{
	char name[STORE_NAME_MAX + 1];
	list_splice(&keep->confirming, &keep->to_confirm);
	loop_timer_stop(&keep->idle);
	keep->held++; /* the read is the keep's own: it stays until the read has ended */
	head_name(name, keep->stream);
	keep->confirm_read = (struct store_read){.done = on_read, .want_attrs = true};
	store_read(keep->keeper->config.store, &keep->confirm_read, STORE_META, name);
}

static int judge(const struct keep *keep, const struct store_read *read)
{
	struct head_attrs attrs;
	int rc = read->status ? read->status : head_attrs_read(read, &attrs);
	bool lost = rc == -ENOENT || (!rc && attrs.epoch != writer_epoch(keep->writer));
	if (lost)
		return rule_holds(RULE_OPEN_READS) ? -REFUSAL_NOT_OWNER : 0;
	return !rc ? 0 : rc == -ECANCELED ? -REFUSAL_STOPPING : -REFUSAL_STORE;
}

static void answer_all(struct keep *keep, struct list *askers, int status)
{
	for (struct list *node; (node = list_pop(askers));) {
		struct keeper_take *req = list_entry(node, struct keeper_take, node);
		if (status)
			keep_answer(keep->keeper, req, status);
		else
			keep_grant(keep, req);
	}
}

/* They wait for the take that follows when the writer has ended; it confirms by itself. */
static void ask_anew(struct keep *keep)
{
	list_splice(&keep->confirming, &keep->to_confirm);
	for (struct list *node; (node = list_pop(&keep->confirming));) {
		list_entry(node, struct keeper_take, node)->confirm = false;
		list_append(&keep->askers, node);
	}
}

static void on_read(struct store_read *read)
{
	struct keep *keep = container_of(read, struct keep, confirm_read);
	int status = judge(keep, read);
	store_read_release(read);
	if (keep->state == KEEP_OVER) {
		answer_all(keep, &keep->confirming, -REFUSAL_TAKING_OVER);
		answer_all(keep, &keep->to_confirm, -REFUSAL_TAKING_OVER);
	} else if (keep->state != KEEP_READY) {
		ask_anew(keep);
	} else if (status == -REFUSAL_NOT_OWNER) {
		log_warn("stream lost to another daemon, as its head says stream=%s", keep->stream);
		ask_anew(keep);
		writer_fenced(keep->writer);
	} else {
		answer_all(keep, &keep->confirming, status);
		if (!list_empty(&keep->to_confirm))
			start(keep);
	}
	keep_unhold(keep);
}

void keep_confirm(struct keep *keep, struct keeper_take *req)
{
	bool reading = !list_empty(&keep->confirming);
	list_append(&keep->to_confirm, &req->node);
	if (!reading)
		start(keep);
}
