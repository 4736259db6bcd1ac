/* SPDX-License-Identifier: Apache-2.0 */
/* Policies of retention: blocking, each a question and its answer. */
#include "proto/policy.h"

#include <errno.h>
#include <stdlib.h>

#include "base/errors.h"
#include "client/ask.h"

struct policies_ask {
	struct ask ask;
	Steppe__Wire__Policies *reply;
};

static int on_policies(struct ask *a, const struct frame *frame)
{
	struct policies_ask *p = container_of(a, struct policies_ask, ask);
	if (frame->header.type != FRAME_POLICIES)
		return ERR_FORMAT;
	p->reply = steppe__wire__policies__unpack(NULL, frame->header.meta_len, frame->meta);
	return p->reply ? 1 : ERR_FORMAT;
}

/* Asks; the reply is given to the caller unless the status is negative. */
static int ask_policies(struct steppe *s, uint8_t type, const ProtobufCMessage *meta,
	Steppe__Wire__Policies **ret_policies)
{
	struct policies_ask p = {.ask = {.type = type, .meta = meta, .answer = on_policies}};
	int rc = ask_wait(cluster_core(s), &p.ask);
	if (rc == 0)
		*ret_policies = p.reply;
	else if (p.reply)
		steppe__wire__policies__free_unpacked(p.reply, NULL);
	return rc;
}

static int edit(struct steppe *s, const Steppe__Wire__PoliciesEdit *m)
{
	Steppe__Wire__Policies *reply;
	int rc = ask_policies(s, FRAME_POLICIES_EDIT, &m->base, &reply);
	if (rc == 0)
		steppe__wire__policies__free_unpacked(reply, NULL);
	return rc;
}

/* The generated structures have no const; packing does not write. */

int steppe_policy_put(struct steppe *s, const struct steppe_policy *policy)
{
	if (policy->size < sizeof(*policy) || !policy->name)
		return -EINVAL;
	Steppe__Wire__Policy put = STEPPE__WIRE__POLICY__INIT;
	put.name = (char *)policy->name;
	put.floor_us = policy->floor_us;
	put.ceiling_us = policy->ceiling_us;
	put.class_ = policy->priority;
	Steppe__Wire__PoliciesEdit m = STEPPE__WIRE__POLICIES_EDIT__INIT;
	m.put = &put;
	return edit(s, &m);
}

int steppe_policy_remove(struct steppe *s, const char *name)
{
	if (!name || !name[0])
		return -EINVAL;
	Steppe__Wire__PoliciesEdit m = STEPPE__WIRE__POLICIES_EDIT__INIT;
	m.remove = (char *)name;
	return edit(s, &m);
}

int steppe_policy_assign(struct steppe *s, const struct steppe_policy_assignment *assignment)
{
	if (assignment->size < sizeof(*assignment))
		return -EINVAL;
	Steppe__Wire__PolicyAssignment a = STEPPE__WIRE__POLICY_ASSIGNMENT__INIT;
	a.kind = (uint32_t)assignment->kind;
	a.target = (char *)(assignment->target ? assignment->target : "");
	a.policy = (char *)(assignment->policy ? assignment->policy : "");
	Steppe__Wire__PoliciesEdit m = STEPPE__WIRE__POLICIES_EDIT__INIT;
	if (a.policy[0])
		m.assign = &a;
	else
		m.unassign = &a;
	return edit(s, &m);
}

static struct steppe_policy shown(const Steppe__Wire__Policy *p)
{
	return (struct steppe_policy){
		sizeof(struct steppe_policy), p->name, p->floor_us, p->ceiling_us, p->class_};
}

static int get(struct steppe *s, Steppe__Wire__Policies **ret_policies)
{
	Steppe__Wire__PoliciesGet m = STEPPE__WIRE__POLICIES_GET__INIT;
	return ask_policies(s, FRAME_POLICIES_GET, &m.base, ret_policies);
}

int steppe_policies(struct steppe *s,
	void (*done)(void *user, const struct steppe_policies *policies), void *user)
{
	Steppe__Wire__Policies *m;
	int rc = get(s, &m);
	if (rc < 0)
		return rc;
	struct steppe_policy *policies = calloc(m->n_policies + 1, sizeof(*policies));
	struct steppe_policy_assignment *assignments =
		calloc(m->n_assignments + 1, sizeof(*assignments));
	if (policies && assignments) {
		for (size_t i = 0; i < m->n_policies; i++)
			policies[i] = shown(m->policies[i]);
		for (size_t i = 0; i < m->n_assignments; i++)
			assignments[i] = (struct steppe_policy_assignment){sizeof(*assignments),
				(enum steppe_policy_target)m->assignments[i]->kind,
				m->assignments[i]->target, m->assignments[i]->policy};
		const struct steppe_policies all = {
			policies, m->n_policies, assignments, m->n_assignments};
		done(user, &all);
	} else {
		rc = -ENOMEM;
	}
	free(policies);
	free(assignments);
	steppe__wire__policies__free_unpacked(m, NULL);
	return rc;
}

/* --- which holds for a camera --- */

struct explain {
	const Steppe__Wire__Policies *policies;
	void (*done)(void *user, const struct steppe_policy_found *found);
	void *user;
};

static bool explain_camera(void *user, const struct steppe_camera *camera)
{
	const struct explain *e = user;
	Steppe__Wire__Camera c = STEPPE__WIRE__CAMERA__INIT;
	struct policy_found found;
	c.id = (char *)camera->id;
	c.division = (char *)camera->division;
	c.policy = (char *)camera->policy;
	c.groups = (char **)(uintptr_t)camera->groups;
	c.n_groups = camera->group_count;
	policy_find(e->policies, &c, &found);
	struct steppe_policy policy = {0};
	if (found.policy)
		policy = shown(found.policy);
	const struct steppe_policy_found f = {
		found.policy ? &policy : NULL, (enum steppe_policy_why)found.why, found.target};
	e->done(e->user, &f);
	return false;
}

static_assert((int)STEPPE_POLICY_ALL == (int)POLICY_ALL &&
		      (int)STEPPE_POLICY_DIVISION == (int)POLICY_DIVISION &&
		      (int)STEPPE_POLICY_GROUP == (int)POLICY_GROUP &&
		      (int)STEPPE_POLICY_OF_CAMERA == (int)POLICY_OF_CAMERA &&
		      (int)STEPPE_POLICY_OF_ALL == (int)POLICY_OF_ALL,
	"the library's numbers are the protocol's");

int steppe_policy_explain(struct steppe *s, const char *camera,
	void (*done)(void *user, const struct steppe_policy_found *found), void *user)
{
	Steppe__Wire__Policies *m;
	int rc = get(s, &m);
	if (rc < 0)
		return rc;
	struct explain e = {m, done, user};
	rc = steppe_camera_get(s, camera, explain_camera, &e);
	steppe__wire__policies__free_unpacked(m, NULL);
	return rc;
}
