/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of members share.
 *
 *	members.c         life: begun, ticking, stopped
 *	members_join.c    the id is free; into the map; out of it
 *	members_beat.c    the own heartbeat
 *	members_lead.c    who leads: watching, claiming, renewing
 *	members_round.c   the leader's looks at all heartbeats, and what follows from them
 *	members_peer.c    channels to other daemons
 *	members_change.c  the map read and changed
 *	members_set.c     an admin's words
 *	members_survey.c  everybody's heartbeat, for status */
#pragma once

#include "proto/names.h"
#include "storaged/archive/settle.h"
#include "storaged/ownership/members.h"
#include "storaged/ownership/members_edit.h"

#define MAP_NAME  "cluster/map"
#define LEAD_NAME "cluster/lead"

#define ATTR_NONCE    "nonce"   /* of node/<id>: its process; NONCE_REMOVED */
#define ATTR_LEADER   "leader"  /* of cluster/lead */
#define ATTR_MAP_VER  ATTR_VER  /* of cluster/map: its epoch */
#define NONCE_REMOVED "removed" /* an admin took the node out of the cluster */

#define NODE_BEAT_SIZE    1024 /* bodies are filled up to multiples of these: they never grow */
#define CLUSTER_LEAD_SIZE 512
#define CLUSTER_MAP_SIZE  4096
#define BEAT_READ_MAX     (8 * NODE_BEAT_SIZE)
#define ROUND_PATIENCE_NS (2 * NS_PER_SECOND) /* reads that take longer say nothing of others */
#define LEADER_TEXT_MAX   128
#define NODE_ID_SIZE      (CAMERA_ID_MAX + 1)

/* A change of the map on its way; embedded in what wants it. */
struct members_change {
	void (*done)(struct members_change *change);
	struct members_edit edit;
	int status; /* 0, or what members_edit_apply and the store say */
	struct list node;
};

/* Another node. */
struct member_peer {
	struct list node;
	struct members *members;
	char id[NODE_ID_SIZE];
	/* as the map says */
	uint64_t nonce;
	bool alive;
	char *addresses[CLUSTER_NODE_ADDRESSES_MAX + 1];
	size_t address_count;
	bool gone; /* not in the map any more: freed when nothing is under way */
	/* channel */
	struct channel *channel;
	struct channel_user user;
	bool ready, another; /* another: a process with another nonce answered */
	size_t next_address, refusals;
	bool refused;
	bool asked;
	struct mono asked_at;
	uint32_t numbers; /* given to questions */
	struct loop_timer redial;
	/* heartbeat, as the leader sees it */
	struct store_read read;
	bool reading;
	uint64_t seen_nonce, seen_beats;
	struct mono changed_at;
	unsigned changes;
	bool leaving, has_offset;
	int64_t offset_us; /* its clock's, against ours */
	uint64_t features;
	char *seen_addresses[CLUSTER_NODE_ADDRESSES_MAX + 1];
	struct members_load load;
	/* what the leader says of it */
	struct members_change change;
	bool changing;
};

enum lead_role {
	LEAD_FOLLOWS,
	LEAD_WAITS,  /* a moment, so that not all claim at once */
	LEAD_CLAIMS, /* the claim is being written */
	LEAD_LEADS,
};

struct members {
	struct members_config config;
	struct tenure tenure;            /* for settle; of no stream */
	char object[STORE_NAME_MAX + 1]; /* node/<id> */
	char nonce_text[ATTR_U64_SIZE + 1];
	const struct cluster_map *map;
	bool joined, leaving, expelled, stopping;
	unsigned operations; /* under way: callbacks to come */
	struct loop_task *stopped;
	struct loop_timer tick;
	struct mono ticked_at;
	struct list peers;
	struct members_load load;

	/* members_join.c */
	struct join {
		struct members_join *req;
		struct store_read read;
		struct settle claim;
		struct slice body;
		struct loop_timer pause;
		struct channel *channel;
		struct channel_user user;
		char found[ATTR_U64_SIZE + 1]; /* the nonce that holds the id */
		uint64_t found_nonce, found_beats;
		bool watched;
		Steppe__Wire__NodeBeat *beat; /* of who holds the id */
		size_t next_address, refusals;
		bool answered;
		struct members_change change;
		struct loop_task task;
	} join;
	struct leave {
		struct loop_task *done;
		struct members_change change;
		struct loop_timer limit;
		bool changing;
	} leave;

	/* members_beat.c */
	uint64_t beats;
	struct store_write beat_write;
	struct store_read beat_read;
	bool beating;

	/* members_lead.c */
	enum lead_role role;
	char leader[LEADER_TEXT_MAX]; /* the attribute as last read or written; "": nobody */
	bool lead_exists;
	char leader_id[NODE_ID_SIZE];
	uint64_t term, renewals;
	struct mono lead_changed_at;
	int64_t time_us; /* cluster time as last told, at time_at */
	struct mono time_at;
	bool time_ahead; /* of what was told: it never goes backwards, so it runs slower */
	struct store_read lead_read;
	struct store_write lead_write;
	struct mono lead_read_began;
	bool lead_reading, lead_writing, renew_again, resigning;
	struct loop_timer claim;

	/* members_round.c */
	struct mono round_began;
	unsigned round_left;
	struct store_read map_stat;
	struct members_change self_change, features_change;
	bool self_changing, features_changing;

	/* members_change.c */
	struct list changes, applying;
	struct store_read map_read;
	struct settle map_write;
	struct slice map_body;
	const struct cluster_map *written; /* what is being written */
	struct loop_timer map_pause;
	unsigned map_refusals;
	bool map_busy, map_wanted, unsaved;
};

/* --- members.c --- */
static inline struct loop *members_loop(const struct members *m)
{
	return m->config.loop;
}
static inline struct mono members_now(const struct members *m)
{
	return loop_now(m->config.loop);
}
/* Nothing is begun any more. */
static inline bool members_over(const struct members *m)
{
	return m->stopping || m->expelled;
}
/* Each operation that calls back is begun and ended. True: members stop, and may be no more. */
void members_begin(struct members *m);
bool members_end(struct members *m);
/* The map is in force from now on, if it is newer. Takes the reference. `wrote`: by this daemon. */
void members_adopt(struct members *m, const struct cluster_map *map, bool wrote);
/* What cluster time is now, as the leader finds or others read. */
void members_set_time(struct members *m, int64_t told_us);
void members_start_ticks(struct members *m);
void members_expel(struct members *m, int status, const char *words);
/* A message filled up to a multiple of `size` by a field that nobody reads; NULL: no memory. */
struct buf *members_pack(const ProtobufCMessage *message, size_t size);

/* --- members_beat.c --- */
void members_beat(struct members *m);
/* Writes down what the next heartbeat says; borrows from the configuration and m->load. */
void members_describe(struct members *m, Steppe__Wire__NodeBeat *ret_beat);

/* --- members_lead.c --- */
/* Reads who leads, or renews. */
void members_lead_tick(struct members *m);
/* The leader's process is gone: somebody else must lead. */
void members_leader_gone(struct members *m);
/* The leader tells of a newer map at once. */
void members_renew(struct members *m);
void members_resign(struct members *m);
static inline bool members_leads(const struct members *m)
{
	return m->role == LEAD_LEADS;
}

/* --- members_round.c --- */
void members_round(struct members *m);
/* Watches begin anew: what was seen of stillness does not count. */
void members_watch_anew(struct members *m);
/* Acts on what is known of one node. */
void members_judge_peer(struct member_peer *p, bool trusted);

/* --- members_peer.c --- */
/* Peers as the map has them, and channels to those that are wanted. */
void members_sync_peers(struct members *m);
void members_close_peers(struct members *m);
/* By id, of those that the map has; NULL. */
struct member_peer *peer_find(struct members *m, const char *id);
/* Asks whether it is there, unless a question is open. */
void peer_ask(struct member_peer *p);
/* Tells those who should know that there is a newer map. */
void members_tell(struct members *m);
/* Frees one that is gone and of which nothing is under way; true: it was. */
bool peer_release(struct member_peer *p);

/* --- members_change.c --- */
void members_change(struct members *m, struct members_change *change);
/* Reads the map. */
void members_refresh(struct members *m);
/* Ends changes that wait, and what is being written. */
void members_cancel_changes(struct members *m);

/* --- members_join.c --- */
void members_cancel_join(struct members *m);
