/* SPDX-License-Identifier: Apache-2.0 */
/* Which policy says how long a camera's footage is kept: the nearest one wins. The daemon that
 * deletes and the command that explains judge by the same lines. Pure. */
#pragma once

#include "proto/steppe.pb-c.h"

#define POLICY_NAME_MAX        64
#define POLICIES_MAX           1000
#define POLICY_ASSIGNMENTS_MAX 20000
#define POLICY_CLASS_MAX       9
#define POLICY_FLOOR_MIN_US    INT64_C(3600000000)       /* an hour */
#define POLICY_AGE_MAX_US      INT64_C(3155760000000000) /* a century */

enum policy_target { POLICY_ALL = 1, POLICY_DIVISION, POLICY_GROUP };

enum policy_why {
	POLICY_OF_NOBODY,
	POLICY_OF_CAMERA,
	POLICY_OF_GROUP,
	POLICY_OF_DIVISION,
	POLICY_OF_ALL
};

struct policy_found {
	const Steppe__Wire__Policy
		*policy; /* of `policies`; NULL: nobody says anything, all is kept */
	enum policy_why why;
	const char *target; /* the group or the division; "" else */
};
/* The camera's own policy; else of its groups' the longest floor, then the shortest ceiling; else
 * that of the longest beginning of its division's code; else that of all. An assignment to a policy
 * that does not exist is passed over. */
void policy_find(const Steppe__Wire__Policies *policies, const Steppe__Wire__Camera *camera,
	struct policy_found *ret_found);

/* Whether a policy can be kept to: a name, a floor of at least an hour, a ceiling not below it. In
 * words what is wrong, or NULL. */
const char *policy_fault(const Steppe__Wire__Policy *policy);
const char *policy_assignment_fault(const Steppe__Wire__PolicyAssignment *assignment);

/* The policy of that name, or NULL. */
const Steppe__Wire__Policy *policy_named(const Steppe__Wire__Policies *policies, const char *name);
