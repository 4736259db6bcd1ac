/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/ownership/moves.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "proto/names.h"

#define PER_SECOND_DEFAULT 50
#define AT_ONCE_DEFAULT    16
#define AT_ONCE_LEAVING    64
#define AGAIN_NS           (1 * NS_PER_SECOND) /* when memory was short */

typedef char name_text[STREAM_NAME_MAX + 1];

struct moves {
	struct moves_config config;
	const struct cluster_map *map;
	int self;
	name_text *names; /* to be moved, from `next` on */
	size_t count, next, room;
	bool incomplete; /* memory was short: there are more */
	uint32_t running;
	uint64_t moved;
	struct loop_timer pace;
	bool leaving;
	bool stopped; /* the keeper ends: it is not looked at any more */
	struct loop_task *left;
};

struct one {
	struct keeper_move move;
	struct moves *moves;
	name_text stream;
};

static void go_on(struct moves *m);

static bool belongs_here(const struct moves *m, const char *stream)
{
	char camera[CAMERA_ID_MAX + 1];
	if (!m->map || stream_name_split(stream, camera, NULL))
		return true;
	int owner = cluster_map_owner(m->map, camera);
	return owner < 0 || owner == m->self;
}

bool moves_is_ours(const struct moves *m, const char *stream)
{
	return belongs_here(m, stream);
}

static void add(struct moves *m, const char *stream)
{
	if (m->stopped)
		return;
	if (m->count == m->room) {
		size_t room = m->room ? 2 * m->room : 64;
		name_text *names = realloc(m->names, room * sizeof(*names));
		if (!names) {
			m->incomplete = true;
			return;
		}
		m->names = names;
		m->room = room;
	}
	strcpy(m->names[m->count++], stream);
}

static void look_at(void *user, struct writer *w)
{
	struct moves *m = user;
	if (m->leaving || !belongs_here(m, writer_stream(w)))
		add(m, writer_stream(w));
}

static void scan(struct moves *m)
{
	m->count = m->next = 0;
	m->incomplete = false;
	if (!m->stopped)
		keeper_each(m->config.keeper, look_at, m);
}

static void on_moved(struct keeper_move *move)
{
	struct one *one = container_of(move, struct one, move);
	struct moves *m = one->moves;
	free(one);
	m->running--;
	m->moved++;
	go_on(m);
}

/* False: memory is short. */
static bool move_one(struct moves *m, const char *stream)
{
	if (!keeper_holds(m->config.keeper, stream) || (!m->leaving && belongs_here(m, stream)))
		return true; /* it changed since */
	struct one *one = calloc(1, sizeof(*one));
	if (!one)
		return false;
	one->moves = m;
	one->move.done = on_moved;
	strcpy(one->stream, stream);
	m->running++;
	log_debug("moving stream=%s", stream);
	keeper_move(m->config.keeper, &one->move, one->stream);
	return true;
}

static void on_pace(struct loop_timer *timer)
{
	go_on(container_of(timer, struct moves, pace));
}

static void pause(struct moves *m, int64_t ns)
{
	m->pace.fire = on_pace;
	/* without memory for a timer the next end of a move, or the next map, goes on */
	(void)loop_timer_start(m->config.loop, &m->pace, ns);
}

static void end(struct moves *m)
{
	if (m->running)
		return;
	if (m->moved)
		log_info("streams moved count=%llu", (unsigned long long)m->moved);
	m->moved = 0;
	if (!m->leaving || !m->left)
		return;
	scan(m); /* those that were being taken meanwhile */
	if (m->count || m->incomplete) {
		pause(m, NS_PER_SECOND / 100);
		return;
	}
	loop_defer(m->config.loop, m->left);
	m->left = NULL;
}

static void go_on(struct moves *m)
{
	uint32_t at_once = m->leaving ? AT_ONCE_LEAVING : m->config.at_once;
	while (m->next < m->count && m->running < at_once && !loop_timer_armed(&m->pace)) {
		if (!move_one(m, m->names[m->next])) {
			pause(m, AGAIN_NS);
			return;
		}
		m->next++;
		if (!m->leaving)
			pause(m, NS_PER_SECOND / m->config.per_second);
	}
	if (m->next < m->count)
		return;
	if (m->incomplete && !loop_timer_armed(&m->pace)) {
		scan(m);
		pause(m, AGAIN_NS);
	} else if (!m->incomplete) {
		end(m);
	}
}

void moves_set_map(struct moves *m, const struct cluster_map *map)
{
	cluster_map_unref(&m->map);
	m->map = cluster_map_ref(map);
	m->self = cluster_map_find(map, m->config.node);
	scan(m);
	go_on(m);
}

const struct cluster_map *moves_map(const struct moves *m)
{
	return m->map;
}

void moves_check(struct moves *m, const char *stream)
{
	if (!m->leaving && belongs_here(m, stream))
		return;
	add(m, stream);
	go_on(m);
}

void moves_leave(struct moves *m, struct loop_task *done)
{
	m->leaving = true;
	m->left = done;
	loop_timer_stop(&m->pace);
	scan(m);
	go_on(m);
}

void moves_stop(struct moves *m)
{
	m->stopped = true;
	m->incomplete = false;
	m->count = m->next = 0;
	m->left = NULL;
	loop_timer_stop(&m->pace);
}

int moves_new(const struct moves_config *config, struct moves **ret_moves)
{
	struct moves *m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->config = *config;
	m->self = -1;
	if (!m->config.per_second)
		m->config.per_second = PER_SECOND_DEFAULT;
	if (!m->config.at_once)
		m->config.at_once = AT_ONCE_DEFAULT;
	*ret_moves = m;
	return 0;
}

void moves_free(struct moves **slot)
{
	struct moves *m = *slot;
	*slot = NULL;
	if (!m)
		return;
	CHECK(!m->running);
	loop_timer_stop(&m->pace);
	cluster_map_unref(&m->map);
	free(m->names);
	free(m);
}
