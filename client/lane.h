/* SPDX-License-Identifier: Apache-2.0 */
/* One lane of a recorder: fragments in order of their numbers, from entering it until they are
 * durable; how far the daemon is; what may be sent. Numbers are the lane's own and never used
 * twice; the daemon's are numbers of a session, which begins again when the daemon has forgotten it
 * or a number cannot be delivered: seq = number - base. Pure; loop thread.
 *
 *	items:  [ from the spool, read ahead ] [ in memory only ]     what the spool holds comes
 * before what memory holds ^ sent ... ^ unsent */
#pragma once

#include "client/item.h"

/* Numbers that became durable while the spool alone had them: the program is still to be told. */
struct lane_untold {
	uint64_t from, until;   /* from > until: none */
	uint64_t session, base; /* in which they were sent */
};

struct lane {
	uint8_t lane; /* enum fragment_lane */
	uint64_t session, base;
	uint64_t next;                  /* number of the next new item */
	bool next_known;                /* false after a crash: the daemon knows */
	uint64_t durable;               /* numbers up to this are */
	uint64_t lost_from, lost_until; /* these numbers will not be delivered: those above need
					   another session; 0: no such break */
	struct lane_untold untold;
	bool discarding; /* what comes next is given up too, until a sync fragment */
	struct list items;
	struct item *unsent; /* the first that was not sent on this connection; NULL: none */
	size_t memory_bytes; /* bodies of items that the spool has not */
	size_t loaded_bytes; /* bodies of those it has */
	uint64_t read_next;  /* first number to be read from the spool */

	/* this connection */
	bool opened;
	uint64_t credit, sent_bytes; /* bodies since OPENED */
	uint64_t opened_at;          /* number that the daemon expected then */
	uint64_t send_next;          /* number that it expects now: no other may be sent */
	struct buf *init_told;
};

/* Told of each item that became durable, before it is freed. */
typedef void lane_durable_fn(void *user, const struct item *item);

void lane_init(struct lane *l, uint8_t lane, uint64_t session, uint64_t base, uint64_t durable);
void lane_fini(struct lane *l);

/* Numbers an item and appends it; takes it. Its header is sealed: 0, or -ENOMEM, and the item is
 * still the caller's. */
int lane_push(struct lane *l, struct item *item);
/* Inserts an item read from the spool, behind those read before; takes it. False when it was given
 * up instead. */
bool lane_load(struct lane *l, struct item *item);
/* The first item that the spool has not; NULL: none. */
struct item *lane_first_in_memory(const struct lane *l);
/* The spool has it now: what was sent is kept for its acknowledgement, what was not is dropped, to
 * be read again. */
void lane_spooled(struct lane *l, struct item *item);

/* Bodies that wait to be sent. */
uint64_t lane_unsent_bytes(const struct lane *l);
/* The lowest number held, here or (spool_first, 0: nothing) in the spool. */
uint64_t lane_first(const struct lane *l, uint64_t spool_first);
/* Another session, whose first number follows `base`. */
void lane_renew(struct lane *l, uint64_t session, uint64_t base);

/* The connection is gone: everything is unsent again. */
void lane_reset(struct lane *l);
/* OPENED: the daemon has everything below `next_seq`. What of that the spool alone holds is
 * `untold` from now on. */
void lane_opened(
	struct lane *l, uint64_t next_seq, uint64_t credit, lane_durable_fn *fn, void *user);
/* Whether something was sent on this connection that is not acknowledged as durable. */
static inline bool lane_is_owed(const struct lane *l)
{
	return !list_empty(&l->items) && (!l->unsent || l->items.next != &l->unsent->node);
}
/* The next item that may be sent now; NULL: none, or no credit. */
struct item *lane_sendable(const struct lane *l);
/* Makes its header say this session and number. 0, -ENOMEM, ERR_CHECKSUM: its bytes in memory are
 * not what they were. */
int lane_prepare(const struct lane *l, struct item *item);
/* An item read from the spool, of the `untold` ones: its header becomes that which was sent. As
 * lane_prepare. */
int lane_prepare_untold(const struct lane *l, struct item *item);
/* What the spool may forget: durable, and told. */
uint64_t lane_told(const struct lane *l);
void lane_sent(struct lane *l, struct item *item, struct buf *init);
/* ACK. False when it acknowledges what was not sent. */
bool lane_ack(
	struct lane *l, uint64_t durable_seq, uint64_t credit, lane_durable_fn *fn, void *user);

/* Gives up the items from the lowest up to the next sync one, which then needs another session:
 * `lost_until` says so. The count; what is still in the spool of them is given up as it is read. */
unsigned lane_discard_run(struct lane *l);
/* Gives up what it begins with and cannot be decoded by itself, because a session must begin with a
 * sync fragment. The count; what is not at hand is judged as it comes. Then the lane begins after
 * `lost_until`, if that is set. */
unsigned lane_begin_with_sync(struct lane *l);
/* The items numbered `from` .. `until` cannot be had any more (the spool is damaged there): they
 * and those up to the next sync are given up. */
void lane_lose(struct lane *l, uint64_t from, uint64_t until);
/* The same for one item that is held and was found damaged. */
void lane_forget(struct lane *l, struct item *item);
/* Whether everything before the break is durable, so that lane_renew can go past it (to
 * `lost_until`). */
bool lane_must_renew(const struct lane *l);
