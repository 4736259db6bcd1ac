/* SPDX-License-Identifier: Apache-2.0 */
/* The own heartbeat: a body that changes each second, under the guard that the id is still this
 * process's. What an attempt's end leaves unknown the next one settles. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/errors.h"
#include "storaged/ownership/members_impl.h"

void members_describe(struct members *m, Steppe__Wire__NodeBeat *ret_beat)
{
	const struct members_config *c = &m->config;
	size_t addresses = 0;
	while (c->addresses[addresses] && addresses < CLUSTER_NODE_ADDRESSES_MAX)
		addresses++;
	*ret_beat = (Steppe__Wire__NodeBeat)STEPPE__WIRE__NODE_BEAT__INIT;
	/* the library's structures have no const; packing does not write */
	ret_beat->id = (char *)(uintptr_t)c->node;
	ret_beat->boot_nonce = c->boot_nonce;
	ret_beat->beats = m->beats;
	ret_beat->now_us = loop_wall(c->loop).us;
	ret_beat->cluster_time_us = members_time_us(m);
	ret_beat->addresses = (char **)(uintptr_t)c->addresses;
	ret_beat->n_addresses = addresses;
	ret_beat->rack = (char *)(uintptr_t)c->rack;
	ret_beat->software = (char *)(uintptr_t)(c->software ? c->software : "");
	ret_beat->features = c->features;
	ret_beat->format_level = c->format_level;
	ret_beat->leaving = m->leaving;
	ret_beat->streams = m->load.streams;
	ret_beat->kbps = m->load.kbps;
	ret_beat->connections = m->load.connections;
}

static void on_who(struct store_read *read)
{
	struct members *m = container_of(read, struct members, beat_read);
	char words[160];
	size_t len;
	int status = read->status;
	const char *nonce = status ? NULL : store_read_attr(read, ATTR_NONCE, &len);
	bool removed = nonce && len == strlen(NONCE_REMOVED) && !memcmp(nonce, NONCE_REMOVED, len);
	bool ours = nonce && len == strlen(m->nonce_text) && !memcmp(nonce, m->nonce_text, len);
	store_read_release(read);
	m->beating = false;
	if (members_end(m) || members_over(m))
		return;
	if (removed)
		members_expel(m, -EPERM,
			"an admin removed this node; `steppe cluster join` lets it in again");
	else if (nonce && !ours) {
		snprintf(words, sizeof(words), "another daemon runs under the id %s",
			m->config.node);
		members_expel(m, -EEXIST, words);
	}
	/* what cannot be read now the next beat finds out */
}

static void on_beat(struct store_write *write)
{
	struct members *m = container_of(write, struct members, beat_write);
	int status = write->status;
	m->beating = false;
	if (members_end(m) || members_over(m) || status != ERR_GUARD)
		return;
	m->beating = true;
	m->beat_read = (struct store_read){.done = on_who, .want_attrs = true};
	members_begin(m);
	store_read(m->config.store, &m->beat_read, STORE_META, m->object);
}

void members_beat(struct members *m)
{
	if (m->config.alone || m->beating || !m->joined || members_over(m))
		return;
	struct members_load *load = &m->load;
	*load = (struct members_load){0};
	if (m->config.ops->load)
		m->config.ops->load(m->config.owner, load);
	m->beats++;
	Steppe__Wire__NodeBeat beat;
	uint64_t cameras[ARRAY_LEN(load->heavy)];
	uint32_t kbps[ARRAY_LEN(load->heavy)];
	members_describe(m, &beat);
	beat.heavy_cameras = cameras;
	beat.heavy_kbps = kbps;
	for (size_t i = 0; i < load->heavy_count && i < ARRAY_LEN(cameras); i++) {
		cameras[i] = load->heavy[i].camera;
		kbps[i] = load->heavy[i].kbps;
		beat.n_heavy_cameras = beat.n_heavy_kbps = i + 1;
	}
	struct buf *body = members_pack(&beat.base, NODE_BEAT_SIZE);
	if (!body)
		return; /* a beat that is missed is not the end */
	struct slice slice = slice_of(body, 0, body->len);
	const struct store_guard guard = {.kind = STORE_ATTR_EQUAL,
		.attr = ATTR_NONCE,
		.value = m->nonce_text,
		.value_len = strlen(m->nonce_text)};
	const struct store_edits edits = {.guards = &guard,
		.guard_count = 1,
		.body_kind = STORE_BODY_WHOLE,
		.body = &slice,
		.body_count = 1};
	m->beating = true;
	m->beat_write = (struct store_write){.done = on_beat};
	members_begin(m);
	store_write(m->config.store, &m->beat_write, STORE_META, m->object, &edits);
	slice_drop(&slice);
	buf_unref(&body);
}
