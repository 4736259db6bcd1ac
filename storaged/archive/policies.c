/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/policies.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "storaged/archive/attrs.h"

#define NAME         "cat/policies"
#define BODY_MAX     (4u << 20)
#define ROUNDS_MAX   32 /* of being overtaken */
#define UNKNOWNS_MAX 20 /* of one write */
#define PAUSE_NS     (250 * NS_PER_MS)

/* --- reading --- */

/* What a finished read says; without the object there are no policies. */
static int take(const struct store_read *read, Steppe__Wire__Policies **ret_policies)
{
	Steppe__Wire__Policies *p;
	if (read->status && read->status != -ENOENT)
		return read->status;
	if (read->status)
		p = steppe__wire__policies__unpack(NULL, 0, NULL);
	else
		p = steppe__wire__policies__unpack(NULL, read->body->len, read->body->data);
	if (!p)
		return read->status ? -ENOMEM : ERR_DAMAGED;
	*ret_policies = p;
	return 0;
}

static void on_got(struct store_read *read)
{
	struct policies_get *req = container_of(read, struct policies_get, read);
	req->policies = NULL;
	req->status = take(read, &req->policies);
	store_read_release(read);
	req->done(req);
}

void policies_get(struct store *store, struct policies_get *req)
{
	req->read = (struct store_read){.done = on_got, .want_body = true, .len = BODY_MAX};
	store_read(store, &req->read, STORE_META, NAME);
}

/* --- changing
 *
 *	READ ---> WRITE ---> (done)
 *	  ^         |
 *	  +---------+  refused: another was faster, or it was us and the answer got lost
 *
 * A write of unknown outcome is sent again as it was, under the same guard. --- */

static void look(struct policies_edit *req);

static void finish(struct policies_edit *req, int status)
{
	if (status && req->policies) {
		steppe__wire__policies__free_unpacked(req->policies, NULL);
		req->policies = NULL;
	}
	steppe__wire__policies_edit__free_unpacked(req->edit, NULL);
	req->edit = NULL;
	buf_unref(&req->body);
	loop_timer_stop(&req->pause);
	req->status = status;
	req->done(req);
}

static void submit(struct policies_edit *req)
{
	char was[ATTR_U64_SIZE + 1], is[ATTR_U64_SIZE + 1];
	attr_u64_format(req->ver, was);
	attr_u64_format(req->ver + 1, is);
	const struct store_guard absent = {.kind = STORE_ABSENT};
	const struct store_guard same = {STORE_ATTR_EQUAL, ATTR_VER, was, ATTR_U64_SIZE};
	const struct store_attr next = {ATTR_VER, is, ATTR_U64_SIZE};
	struct slice body = {req->body, req->body->data, req->body->len};
	const struct store_edits edits = {
		.guards = req->exists ? &same : &absent,
		.guard_count = 1,
		.attrs = &next,
		.attr_count = 1,
		.body_kind = STORE_BODY_WHOLE,
		.body = &body,
		.body_count = 1,
	};
	store_write(req->store, &req->write, STORE_META, NAME, &edits);
}

static void on_pause(struct loop_timer *timer)
{
	submit(container_of(timer, struct policies_edit, pause));
}

static void on_written(struct store_write *write)
{
	struct policies_edit *req = container_of(write, struct policies_edit, write);
	switch (write->status) {
	case 0:
		finish(req, 0);
		return;
	case ERR_UNKNOWN:
		if (++req->unknowns > UNKNOWNS_MAX ||
			loop_timer_start(req->loop, &req->pause, PAUSE_NS))
			finish(req, ERR_UNKNOWN);
		return;
	case ERR_GUARD:
	case -EEXIST:
	case -ENOENT:
		if (++req->rounds > ROUNDS_MAX)
			finish(req, ERR_GUARD);
		else
			look(req);
		return;
	default:
		finish(req, write->status);
	}
}

/* What is stored is what we were about to write: an earlier attempt had worked. */
static bool is_ours(const struct policies_edit *req, const struct store_read *read)
{
	return req->body && !read->status && read->body->len == req->body->len &&
	       memcmp(read->body->data, req->body->data, req->body->len) == 0;
}

static int change(struct policies_edit *req, const struct store_read *read)
{
	size_t len;
	req->exists = !read->status;
	req->ver = 0;
	if (req->exists) {
		const void *ver = store_read_attr(read, ATTR_VER, &len);
		int rc = attr_u64_parse(ver, len, &req->ver);
		if (rc)
			return rc;
	}
	int rc = take(read, &req->policies);
	if (!rc)
		rc = policies_apply(req->policies, req->edit, &req->words);
	if (rc)
		return rc;
	buf_unref(&req->body);
	req->body = buf_new(steppe__wire__policies__get_packed_size(req->policies));
	if (!req->body)
		return -ENOMEM;
	steppe__wire__policies__pack(req->policies, req->body->data);
	return req->body->len > BODY_MAX ? ERR_LIMIT : 0;
}

static void on_read(struct store_read *read)
{
	struct policies_edit *req = container_of(read, struct policies_edit, read);
	if (is_ours(req, read)) {
		store_read_release(read);
		finish(req, 0);
		return;
	}
	if (req->policies)
		steppe__wire__policies__free_unpacked(req->policies, NULL);
	req->policies = NULL;
	int rc = read->status && read->status != -ENOENT ? read->status : change(req, read);
	store_read_release(read);
	if (rc)
		finish(req, rc);
	else
		submit(req);
}

static void look(struct policies_edit *req)
{
	req->read = (struct store_read){
		.done = on_read, .want_attrs = true, .want_body = true, .len = BODY_MAX};
	store_read(req->store, &req->read, STORE_META, NAME);
}

static void on_no_memory(struct loop_task *task)
{
	struct policies_edit *req = container_of(task, struct policies_edit, task);
	req->done(req);
}

void policies_edit(struct loop *loop, struct store *store, struct policies_edit *req,
	const Steppe__Wire__PoliciesEdit *edit)
{
	*req = (struct policies_edit){.done = req->done, .loop = loop, .store = store};
	size_t len = steppe__wire__policies_edit__get_packed_size(edit);
	uint8_t *bytes = malloc(len + 1);
	if (bytes) {
		steppe__wire__policies_edit__pack(edit, bytes);
		req->edit = steppe__wire__policies_edit__unpack(NULL, len, bytes);
		free(bytes);
	}
	req->write.done = on_written;
	req->pause.fire = on_pause;
	if (req->edit) {
		look(req);
		return;
	}
	req->status = -ENOMEM;
	req->task.run = on_no_memory;
	loop_defer(loop, &req->task);
}
