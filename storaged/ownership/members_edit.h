/* SPDX-License-Identifier: Apache-2.0 */
/* The changes that can be made to the cluster's map. Pure. Private to members. */
#pragma once

#include "proto/cluster_draft.h"

enum members_edit_kind {
	EDIT_JOIN,     /* a daemon enters */
	EDIT_ALIVE,    /* the leader sees it beat again */
	EDIT_DEAD,     /* it does not, or it leaves */
	EDIT_SET,      /* an admin's word: state and weight */
	EDIT_REMOVE,   /* an admin's word: it is no node of the cluster any more */
	EDIT_FEATURES, /* what all may write */
	EDIT_DISPLACE, /* cameras that a load cap moves */
};

/* Strings and lists are borrowed for as long as the draft lives. */
struct members_edit {
	enum members_edit_kind kind;
	const char *id;
	uint64_t nonce;               /* JOIN, ALIVE: of its process; DEAD: of the one that died */
	const char *const *addresses; /* JOIN, ALIVE; NULL-terminated */
	const char *rack;             /* JOIN */
	uint32_t weight;              /* SET; JOIN: of a node that was never there */
	uint8_t state;                /* SET */
	bool alone;                   /* JOIN: it is the only one there may be */
	uint64_t features;            /* JOIN, FEATURES */
	const struct placement_displaced *displaced; /* DISPLACE */
	size_t displaced_count;
	uint64_t epoch; /* DISPLACE: of the map whose indexes `displaced` holds */
};

/* 1: the draft was changed; 0: it said so before, or it does not matter any more; -ENOENT: no such
 * node; -EBUSY: REMOVE of a node alive; -EINVAL; ERR_LIMIT: too many nodes; -ENOMEM. The draft has
 * room for one node more. */
int members_edit_apply(struct cluster_draft *draft, const struct members_edit *edit);
