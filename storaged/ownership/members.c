/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "base/log.h"
#include "storaged/ownership/members_impl.h"

#define BEAT_DEFAULT_NS (1 * NS_PER_SECOND)
#define DEAD_DEFAULT_NS (3 * NS_PER_SECOND)
#define PAD_FIELD       2047 /* no message has it */
#define PAD_HEAD        5    /* tag of two bytes, length of three */

void members_begin(struct members *m)
{
	m->operations++;
}

static void free_members(struct members *m)
{
	struct loop_task *stopped = m->stopped;
	cluster_map_unref(&m->map);
	loop_defer(m->config.loop, stopped);
	free(m);
}

bool members_end(struct members *m)
{
	m->operations--;
	if (!m->stopping)
		return false;
	if (!m->operations)
		free_members(m);
	return true;
}

struct buf *members_pack(const ProtobufCMessage *message, size_t size)
{
	size_t len = protobuf_c_message_get_packed_size(message);
	size_t total = (len + PAD_HEAD + size - 1) / size * size;
	struct buf *b = buf_new(total);
	if (!b)
		return NULL;
	protobuf_c_message_pack(message, b->data);
	uint8_t *pad = b->data + len;
	size_t rest = total - len - PAD_HEAD;
	const uint32_t tag = PAD_FIELD << 3 | 2;
	pad[0] = (uint8_t)(tag | 0x80);
	pad[1] = (uint8_t)(tag >> 7);
	pad[2] = (uint8_t)(rest | 0x80);
	pad[3] = (uint8_t)(rest >> 7 | 0x80);
	pad[4] = (uint8_t)(rest >> 14);
	memset(pad + PAD_HEAD, 0, rest);
	return b;
}

/* --- the map in force --- */

void members_adopt(struct members *m, const struct cluster_map *map, bool wrote)
{
	if (m->map && map->epoch <= m->map->epoch) {
		cluster_map_unref(&map);
		return;
	}
	cluster_map_unref(&m->map);
	m->map = map;
	if (members_over(m) || !m->joined)
		return;
	members_sync_peers(m);
	if (wrote || members_leads(m))
		members_tell(m);
	if (members_leads(m))
		members_renew(m);
	m->config.ops->changed(m->config.owner, m->map);
}

const struct cluster_map *members_map(const struct members *m)
{
	return m->joined ? m->map : NULL;
}

int members_self(const struct members *m)
{
	return m->map ? cluster_map_find(m->map, m->config.node) : -1;
}

/* Runs on by the own clock since it was told, at half the speed while it was told to be ahead. */
int64_t members_time_us(const struct members *m)
{
	int64_t passed_us = (members_now(m).ns - m->time_at.ns) / 1000;
	if (m->config.alone || !m->time_us)
		return loop_wall(m->config.loop).us;
	return m->time_us + (m->time_ahead ? passed_us / 2 : passed_us);
}

void members_set_time(struct members *m, int64_t told_us)
{
	int64_t us = m->time_us ? members_time_us(m) : told_us;
	m->time_ahead = told_us < us;
	m->time_us = m->time_ahead ? us : told_us;
	m->time_at = members_now(m);
}

void members_heard(struct members *m, uint64_t epoch)
{
	if (m->joined && !m->config.alone && !members_over(m) && epoch > m->map->epoch)
		members_refresh(m);
}

/* --- ticks --- */

static void arm(struct members *m)
{
	/* armed before, or by a join that is told: it needs no memory again */
	(void)loop_timer_start(m->config.loop, &m->tick, m->config.beat_ns);
}

static void on_tick(struct loop_timer *timer)
{
	struct members *m = container_of(timer, struct members, tick);
	struct mono now = members_now(m);
	arm(m);
	/* a process that was away (stopped, starved) has seen nothing of what happened meanwhile */
	if (now.ns - m->ticked_at.ns > m->config.beat_ns + ROUND_PATIENCE_NS) {
		members_watch_anew(m);
		m->lead_changed_at = now;
	}
	m->ticked_at = now;
	members_beat(m);
	members_lead_tick(m);
}

void members_start_ticks(struct members *m)
{
	m->ticked_at = m->lead_changed_at = members_now(m);
	m->tick.fire = on_tick;
	arm(m);
	members_sync_peers(m);
	members_lead_tick(m);
}

static void stop_all(struct members *m)
{
	loop_timer_stop(&m->tick);
	loop_timer_stop(&m->claim);
	loop_timer_stop(&m->map_pause);
	loop_timer_stop(&m->leave.limit);
	members_close_peers(m);
	members_cancel_changes(m);
}

void members_expel(struct members *m, int status, const char *words)
{
	if (members_over(m))
		return;
	log_error("expelled from the cluster node=%s why=\"%s\"", m->config.node, words);
	m->expelled = true;
	m->role = LEAD_FOLLOWS;
	stop_all(m);
	m->config.ops->expelled(m->config.owner, status, words);
}

/* --- life --- */

int members_new(const struct members_config *config, struct members **ret_members)
{
	if (!camera_id_is_valid(config->node) || strlen(config->rack) > PLACEMENT_RACK_MAX ||
		!config->addresses || !config->addresses[0])
		return -EINVAL;
	struct members *m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->config = *config;
	if (!m->config.beat_ns)
		m->config.beat_ns = BEAT_DEFAULT_NS;
	if (!m->config.dead_ns)
		m->config.dead_ns = DEAD_DEFAULT_NS;
	if (!m->config.weight)
		m->config.weight = PLACEMENT_WEIGHT_ONE;
	m->tenure = (struct tenure){.loop = config->loop, .store = config->store};
	snprintf(m->object, sizeof(m->object), "node/%s", config->node);
	attr_u64_format(config->boot_nonce, m->nonce_text);
	list_init(&m->peers);
	list_init(&m->changes);
	list_init(&m->applying);
	*ret_members = m;
	return 0;
}

void members_free(struct members **slot, struct loop_task *stopped)
{
	struct members *m = *slot;
	*slot = NULL;
	m->stopped = stopped;
	m->stopping = true;
	m->operations++; /* until all was stopped */
	stop_all(m);
	members_cancel_join(m);
	members_end(m);
}
