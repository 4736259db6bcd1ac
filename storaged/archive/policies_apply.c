/* SPDX-License-Identifier: Apache-2.0 */
/* One change of the policies; pure. The message's memory is malloc's, as protobuf-c's own. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "storaged/archive/policies.h"

static bool same_target(
	const Steppe__Wire__PolicyAssignment *a, const Steppe__Wire__PolicyAssignment *b)
{
	return a->kind == b->kind && strcmp(a->target, b->target) == 0;
}

static ProtobufCMessage *copy_of(const ProtobufCMessage *m)
{
	size_t len = protobuf_c_message_get_packed_size(m);
	uint8_t *bytes = malloc(len ? len : 1);
	if (!bytes)
		return NULL;
	protobuf_c_message_pack(m, bytes);
	ProtobufCMessage *copy = protobuf_c_message_unpack(m->descriptor, NULL, len, bytes);
	free(bytes);
	return copy;
}

/* Makes room for one more pointer. */
static int grow(void *list, size_t count)
{
	void **at = list, *grown = realloc(*at, (count + 1) * sizeof(void *));
	if (!grown)
		return -ENOMEM;
	*at = grown;
	return 0;
}

static int put(Steppe__Wire__Policies *p, const Steppe__Wire__Policy *policy, const char **words)
{
	*words = policy_fault(policy);
	if (*words)
		return -EINVAL;
	Steppe__Wire__Policy *copy = (Steppe__Wire__Policy *)copy_of(&policy->base);
	if (!copy)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_policies; i++)
		if (strcmp(p->policies[i]->name, policy->name) == 0) {
			steppe__wire__policy__free_unpacked(p->policies[i], NULL);
			p->policies[i] = copy;
			return 0;
		}
	int rc = p->n_policies < POLICIES_MAX ? grow(&p->policies, p->n_policies) : ERR_LIMIT;
	if (rc) {
		*words = "there are as many policies as there may be";
		steppe__wire__policy__free_unpacked(copy, NULL);
		return rc;
	}
	p->policies[p->n_policies++] = copy;
	return 0;
}

static int remove_policy(Steppe__Wire__Policies *p, const char *name, const char **words)
{
	for (size_t i = 0; i < p->n_assignments; i++)
		if (strcmp(p->assignments[i]->policy, name) == 0) {
			*words = "the policy is assigned; take its assignments away first";
			return -EBUSY;
		}
	for (size_t i = 0; i < p->n_policies; i++)
		if (strcmp(p->policies[i]->name, name) == 0) {
			steppe__wire__policy__free_unpacked(p->policies[i], NULL);
			p->policies[i] = p->policies[--p->n_policies];
			return 0;
		}
	*words = "there is no such policy";
	return -ENOENT;
}

static int assign(
	Steppe__Wire__Policies *p, const Steppe__Wire__PolicyAssignment *a, const char **words)
{
	*words = policy_assignment_fault(a);
	if (*words)
		return -EINVAL;
	*words = "there is no such policy";
	if (!policy_named(p, a->policy))
		return -ENOENT;
	Steppe__Wire__PolicyAssignment *copy = (Steppe__Wire__PolicyAssignment *)copy_of(&a->base);
	if (!copy)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_assignments; i++)
		if (same_target(p->assignments[i], a)) {
			steppe__wire__policy_assignment__free_unpacked(p->assignments[i], NULL);
			p->assignments[i] = copy;
			return 0;
		}
	*words = "there are as many assignments as there may be";
	int rc = p->n_assignments < POLICY_ASSIGNMENTS_MAX ? grow(&p->assignments, p->n_assignments)
							   : ERR_LIMIT;
	if (rc) {
		steppe__wire__policy_assignment__free_unpacked(copy, NULL);
		return rc;
	}
	p->assignments[p->n_assignments++] = copy;
	return 0;
}

static int unassign(
	Steppe__Wire__Policies *p, const Steppe__Wire__PolicyAssignment *a, const char **words)
{
	for (size_t i = 0; i < p->n_assignments; i++)
		if (same_target(p->assignments[i], a)) {
			steppe__wire__policy_assignment__free_unpacked(p->assignments[i], NULL);
			p->assignments[i] = p->assignments[--p->n_assignments];
			return 0;
		}
	*words = "no policy is assigned there";
	return -ENOENT;
}

int policies_apply(
	Steppe__Wire__Policies *p, const Steppe__Wire__PoliciesEdit *edit, const char **ret_words)
{
	int rc = -EINVAL;
	*ret_words = "a change puts, removes, assigns or unassigns";
	if (edit->version && edit->version != p->version) {
		*ret_words = "the policies were changed by another meanwhile";
		return ERR_GUARD;
	}
	if (edit->put)
		rc = put(p, edit->put, ret_words);
	else if (edit->remove[0])
		rc = remove_policy(p, edit->remove, ret_words);
	else if (edit->assign)
		rc = assign(p, edit->assign, ret_words);
	else if (edit->unassign)
		rc = unassign(p, edit->unassign, ret_words);
	if (!rc) {
		p->version++;
		*ret_words = NULL;
	}
	return rc;
}
