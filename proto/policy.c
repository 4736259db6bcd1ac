/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/policy.h"

#include <string.h>

#include "proto/names.h"

const Steppe__Wire__Policy *policy_named(const Steppe__Wire__Policies *policies, const char *name)
{
	for (size_t i = 0; i < policies->n_policies; i++)
		if (strcmp(policies->policies[i]->name, name) == 0)
			return policies->policies[i];
	return NULL;
}

/* No ceiling is the longest of all. */
static bool is_shorter(int64_t ceiling, int64_t than)
{
	return ceiling && (!than || ceiling < than);
}

static bool holds_more(const Steppe__Wire__Policy *a, const Steppe__Wire__Policy *b)
{
	return a->floor_us != b->floor_us ? a->floor_us > b->floor_us
					  : is_shorter(a->ceiling_us, b->ceiling_us);
}

static bool is_in_group(const Steppe__Wire__Camera *camera, const char *group)
{
	for (size_t i = 0; i < camera->n_groups; i++)
		if (strcmp(camera->groups[i], group) == 0)
			return true;
	return false;
}

/* How near the assignment is to the camera: 0 does not touch it, more is nearer. */
static size_t nearness(const Steppe__Wire__PolicyAssignment *a, const Steppe__Wire__Camera *camera)
{
	size_t len = strlen(a->target);
	switch (a->kind) {
	case POLICY_ALL:
		return 1;
	case POLICY_DIVISION:
		return len && strncmp(camera->division, a->target, len) == 0 ? 1 + len : 0;
	case POLICY_GROUP:
		return is_in_group(camera, a->target) ? SIZE_MAX : 0;
	default:
		return 0;
	}
}

static const enum policy_why why_of[] = {
	[POLICY_ALL] = POLICY_OF_ALL,
	[POLICY_DIVISION] = POLICY_OF_DIVISION,
	[POLICY_GROUP] = POLICY_OF_GROUP,
};

void policy_find(const Steppe__Wire__Policies *policies, const Steppe__Wire__Camera *camera,
	struct policy_found *ret_found)
{
	struct policy_found found = {.target = ""};
	size_t nearest = 0;
	if (camera->policy[0])
		found.policy = policy_named(policies, camera->policy);
	if (found.policy) {
		found.why = POLICY_OF_CAMERA;
		*ret_found = found;
		return;
	}
	for (size_t i = 0; i < policies->n_assignments; i++) {
		const Steppe__Wire__PolicyAssignment *a = policies->assignments[i];
		size_t near = nearness(a, camera);
		const Steppe__Wire__Policy *p = near ? policy_named(policies, a->policy) : NULL;
		if (!p || near < nearest ||
			(near == nearest && found.policy && !holds_more(p, found.policy)))
			continue;
		nearest = near;
		found = (struct policy_found){p, why_of[a->kind], a->target};
	}
	*ret_found = found;
}

const char *policy_fault(const Steppe__Wire__Policy *policy)
{
	if (!camera_id_is_valid(policy->name))
		return "a policy's name has letters, digits, dots, dashes and underscores, at most "
		       "64";
	if (policy->floor_us < POLICY_FLOOR_MIN_US || policy->floor_us > POLICY_AGE_MAX_US)
		return "a floor is an hour at least and a century at most";
	if (policy->ceiling_us < 0 || policy->ceiling_us > POLICY_AGE_MAX_US)
		return "a ceiling is a century at most";
	if (policy->ceiling_us && policy->ceiling_us < policy->floor_us)
		return "the ceiling is below the floor";
	if (policy->class_ > POLICY_CLASS_MAX)
		return "a class is 0 to 9";
	return NULL;
}

const char *policy_assignment_fault(const Steppe__Wire__PolicyAssignment *a)
{
	size_t len = strlen(a->target);
	switch (a->kind) {
	case POLICY_ALL:
		return len ? "what is assigned to all names no target" : NULL;
	case POLICY_DIVISION:
		return len && len <= 32 && strspn(a->target, "0123456789") == len
			       ? NULL
			       : "a division's code has digits alone, at most 32";
	case POLICY_GROUP:
		return camera_id_is_valid(a->target)
			       ? NULL
			       : "a group's name is formed like a camera's id";
	default:
		return "a policy is assigned to all, a division or a group";
	}
}
