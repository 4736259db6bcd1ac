/* SPDX-License-Identifier: Apache-2.0 */
/* Who leads. One object says so; its attribute is the leader's claim (node, process, term), its body
 * changes each second while it leads. Everybody else watches for changes on his own monotonic clock.
 *
 *	FOLLOWS --no sign of a leader--> WAITS --a random moment--> CLAIMS --written--> LEADS
 *	   ^------- a sign, or another was faster ------+-------------+                   |
 *	   ^------- the claim is not ours any more ---------------------------------------+ */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/errors.h"
#include "base/log.h"
#include "storaged/ownership/members_impl.h"

#define WAIT_MAX_NS (500 * NS_PER_MS)

static void look(struct members *m);

static void claim_text(const struct members *m, uint64_t term, char to[LEADER_TEXT_MAX])
{
	snprintf(to, LEADER_TEXT_MAX, "%s:%s:%016" PRIx64, m->config.node, m->nonce_text, term);
}

static void follow(struct members *m)
{
	if (members_leads(m))
		log_info("leads no more node=%s", m->config.node);
	m->role = LEAD_FOLLOWS;
	m->lead_changed_at = members_now(m);
	loop_timer_stop(&m->claim);
	members_sync_peers(m);
}

/* What was seen of the leader before stands: its renewals are a heartbeat, too. */
static void watch_on(struct members *m, struct member_peer *before, struct mono asked_at)
{
	before->changed_at = m->lead_changed_at;
	before->asked = true;
	before->asked_at = asked_at;
}

static void lead(struct members *m)
{
	struct member_peer *before = peer_find(m, m->leader_id);
	bool asked = before && before->asked;
	struct mono asked_at = asked ? before->asked_at : (struct mono){0};
	log_info("leads node=%s term=%" PRIu64, m->config.node, m->term);
	m->role = LEAD_LEADS;
	loop_timer_stop(&m->claim);
	snprintf(m->leader_id, sizeof(m->leader_id), "%s", m->config.node);
	members_watch_anew(m);
	if (asked)
		watch_on(m, before, asked_at);
	members_sync_peers(m);
	members_refresh(m);
	members_round(m);
}

/* --- writing --- */

static void on_claimed(struct store_write *write);
static void on_renewed(struct store_write *write);

/* Writes the object under the guard that it says what was read. */
static void write_lead(struct members *m, const char *leader, void (*done)(struct store_write *))
{
	Steppe__Wire__ClusterLead message = STEPPE__WIRE__CLUSTER_LEAD__INIT;
	message.node = (char *)(uintptr_t)(leader[0] ? m->config.node : "");
	message.boot_nonce = m->config.boot_nonce;
	message.term = m->term;
	message.renewals = ++m->renewals;
	message.map_epoch = m->map->epoch;
	message.time_us = members_time_us(m);
	struct buf *body = members_pack(&message.base, CLUSTER_LEAD_SIZE);
	if (!body) {
		if (m->role == LEAD_CLAIMS)
			follow(m);
		return;
	}
	struct slice slice = slice_of(body, 0, body->len);
	const struct store_guard guard = {.kind = m->lead_exists ? STORE_ATTR_EQUAL : STORE_ABSENT,
		.attr = ATTR_LEADER,
		.value = m->leader,
		.value_len = strlen(m->leader)};
	const struct store_attr attr = {
		.name = ATTR_LEADER, .value = leader, .len = strlen(leader)};
	const struct store_edits edits = {.guards = &guard,
		.guard_count = 1,
		.attrs = &attr,
		.attr_count = 1,
		.body_kind = STORE_BODY_WHOLE,
		.body = &slice,
		.body_count = 1};
	m->lead_writing = true;
	m->lead_write = (struct store_write){.done = done};
	members_begin(m);
	store_write(m->config.store, &m->lead_write, STORE_META, LEAD_NAME, &edits);
	slice_drop(&slice);
	buf_unref(&body);
}

static void on_claimed(struct store_write *write)
{
	struct members *m = container_of(write, struct members, lead_write);
	int status = write->status;
	m->lead_writing = false;
	if (members_end(m) || members_over(m))
		return;
	if (status || m->leaving) {
		follow(m);
		look(m); /* what is there now says whose it is, ours perhaps */
		return;
	}
	claim_text(m, m->term, m->leader);
	m->lead_exists = true;
	lead(m);
}

static void on_renewed(struct store_write *write)
{
	struct members *m = container_of(write, struct members, lead_write);
	int status = write->status;
	m->lead_writing = false;
	if (members_end(m) || members_over(m))
		return;
	if (members_leads(m) && (status == ERR_GUARD || status == -ENOENT)) {
		follow(m);
		look(m);
	} else if (members_leads(m) && m->renew_again) {
		m->renew_again = false;
		members_renew(m);
	} else if (m->resigning) {
		m->resigning = false;
		write_lead(m, "", on_renewed);
	}
}

void members_renew(struct members *m)
{
	if (m->lead_writing) {
		m->renew_again = true;
		return;
	}
	write_lead(m, m->leader, on_renewed);
}

void members_resign(struct members *m)
{
	if (!members_leads(m))
		return;
	follow(m);
	m->resigning = m->lead_writing;
	if (!m->lead_writing)
		write_lead(m, "", on_renewed);
}

/* --- claiming --- */

static void on_claim(struct loop_timer *timer)
{
	struct members *m = container_of(timer, struct members, claim);
	if (m->role != LEAD_WAITS)
		return;
	if (m->lead_writing) { /* of a leadership that just ended */
		m->role = LEAD_FOLLOWS;
		return;
	}
	char text[LEADER_TEXT_MAX];
	m->role = LEAD_CLAIMS;
	m->term++;
	claim_text(m, m->term, text);
	write_lead(m, text, on_claimed);
}

/* One that the map calls dead may lead as well: it lives, and perhaps nobody else is left to say so. */
static bool may_lead(const struct members *m)
{
	return !m->leaving && members_self(m) >= 0;
}

static void want_to_lead(struct members *m)
{
	if (m->role != LEAD_FOLLOWS || !may_lead(m))
		return;
	m->role = LEAD_WAITS;
	m->claim.fire = on_claim;
	int64_t wait = (int64_t)(loop_random(m->config.loop) % (uint64_t)WAIT_MAX_NS);
	/* without memory for a timer the next look tries again */
	if (loop_timer_start(m->config.loop, &m->claim, wait))
		m->role = LEAD_FOLLOWS;
}

void members_leader_gone(struct members *m)
{
	if (m->role == LEAD_FOLLOWS && !members_over(m))
		want_to_lead(m);
}

/* --- watching --- */

/* What was read: 1: it has changed since, 0: it stands still; a code. */
static int take_lead(struct members *m, const struct store_read *read)
{
	size_t len;
	const char *leader = store_read_attr(read, ATTR_LEADER, &len);
	Steppe__Wire__ClusterLead *message =
		steppe__wire__cluster_lead__unpack(NULL, read->body->len, read->body->data);
	if (!message)
		return -ENOMEM;
	bool changed = !m->lead_exists || len != strlen(m->leader) ||
		       memcmp(leader, m->leader, len) != 0 || message->renewals != m->renewals;
	m->lead_exists = true;
	snprintf(m->leader, sizeof(m->leader), "%.*s", (int)len, leader);
	snprintf(m->leader_id, sizeof(m->leader_id), "%s", len ? message->node : "");
	m->term = message->term;
	m->renewals = message->renewals;
	if (changed)
		members_set_time(m, message->time_us);
	members_heard(m, message->map_epoch);
	steppe__wire__cluster_lead__free_unpacked(message, NULL);
	return changed;
}

static bool is_ours(const struct members *m)
{
	char text[LEADER_TEXT_MAX];
	claim_text(m, m->term, text);
	return strcmp(text, m->leader) == 0;
}

static void on_lead(struct store_read *read)
{
	struct members *m = container_of(read, struct members, lead_read);
	struct mono now = members_now(m);
	int status = read->status;
	m->lead_reading = false;
	if (!status && !members_over(m) && m->role != LEAD_CLAIMS && !members_leads(m))
		status = take_lead(m, read);
	store_read_release(read);
	if (members_end(m) || members_over(m) || m->role == LEAD_CLAIMS || members_leads(m))
		return;
	if (status == -ENOENT) {
		m->lead_exists = false;
		m->leader[0] = m->leader_id[0] = '\0';
	}
	/* while our own reads are slow or fail, nobody's stillness means anything */
	if (status > 0 || (status < 0 && status != -ENOENT) ||
		now.ns - m->lead_read_began.ns > ROUND_PATIENCE_NS)
		m->lead_changed_at = now;
	if (status > 0 && m->role == LEAD_WAITS)
		follow(m);
	if (status >= 0 && m->leader[0] && is_ours(m) && may_lead(m)) {
		lead(m); /* a claim of which the outcome was not known */
		return;
	}
	members_sync_peers(m);
	int64_t still_ns = now.ns - m->lead_changed_at.ns;
	bool still = still_ns >= m->config.dead_ns;
	struct member_peer *leader = peer_find(m, m->leader_id);
	if (leader && still_ns >= m->config.dead_ns / 2)
		peer_ask(leader);
	if (status == -ENOENT || (status >= 0 && (!m->leader[0] || still)))
		want_to_lead(m);
}

static void look(struct members *m)
{
	if (m->lead_reading || members_over(m))
		return;
	m->lead_reading = true;
	m->lead_read_began = members_now(m);
	m->lead_read = (struct store_read){.done = on_lead,
		.want_attrs = true,
		.want_body = true,
		.len = 4 * CLUSTER_LEAD_SIZE};
	members_begin(m);
	store_read(m->config.store, &m->lead_read, STORE_META, LEAD_NAME);
}

void members_lead_tick(struct members *m)
{
	if (m->config.alone || members_over(m))
		return;
	if (members_leads(m)) {
		members_round(m);
		if (!m->lead_writing)
			members_renew(m);
	} else {
		look(m);
	}
}
