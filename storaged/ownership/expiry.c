/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/ownership/expiry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/errors.h"
#include "base/log.h"
#include "storaged/archive/machine.h"
#include "storaged/archive/policies.h"

#define PERIOD_NS        (3600 * NS_PER_SECOND)
#define PAGE             256 /* cameras read at a time */
#define REMOVES_STANDARD 200

/*	          +-----------------------------------------+ no more cameras
 *	          v                                         |
 *	RESTING --> POLICIES --> CAMERAS --> DAYS --> TAKING --> SWEEPING
 *	                            ^         |  ^      |          |
 *	                            |         |  |      |          | each day
 *	                            +---------+--+------+----------+
 *	                           next page  next stream: the steps between have no state */
enum expiry_state {
	EXPIRY_RESTING,
	EXPIRY_POLICIES,
	EXPIRY_CAMERAS,
	EXPIRY_DAYS,
	EXPIRY_TAKING,
	EXPIRY_SWEEPING,
};
static const char *const state_names[] = {
	"resting", "policies", "cameras", "days", "taking", "sweeping"};
#define NEXT_STREAM                                                                                \
	(MACHINE_TO(EXPIRY_RESTING) | MACHINE_TO(EXPIRY_CAMERAS) | MACHINE_TO(EXPIRY_DAYS))
static const unsigned may[] = {
	[EXPIRY_RESTING] = MACHINE_TO(EXPIRY_POLICIES),
	[EXPIRY_POLICIES] = MACHINE_TO(EXPIRY_RESTING) | MACHINE_TO(EXPIRY_CAMERAS),
	[EXPIRY_CAMERAS] = NEXT_STREAM,
	[EXPIRY_DAYS] = NEXT_STREAM | MACHINE_TO(EXPIRY_TAKING),
	[EXPIRY_TAKING] = NEXT_STREAM | MACHINE_TO(EXPIRY_SWEEPING),
	[EXPIRY_SWEEPING] = NEXT_STREAM | MACHINE_TO(EXPIRY_SWEEPING),
};
static const struct machine_kind kind = {"expiry", state_names, may};

struct expiry {
	struct expiry_config config;
	unsigned state;
	struct expiry_counts counts;
	struct wall now; /* of this round */
	Steppe__Wire__Policies *policies;
	size_t camera, profile; /* in the page */
	char after[CAMERA_ID_MAX + 1];
	char stream[STREAM_NAME_MAX + 1];
	struct retention_rule rule;
	int32_t *days; /* of the stream, that are due */
	size_t day_count, day;
	struct policies_get get;
	struct catalog_walk walk;
	struct reader_days ask;
	struct keeper_take take;
	struct writer_sweep sweep;
	struct loop_timer timer;
	struct loop_task *stopped;
};

static void next_stream(struct expiry *e);

static void move(struct expiry *e, enum expiry_state to)
{
	machine_move(&kind, &e->state, to, NULL, e->stream);
}

/* --- rounds --- */

static void end_of_life(struct expiry *e)
{
	struct loop_task *stopped = e->stopped;
	loop_timer_stop(&e->timer);
	free(e->days);
	loop_defer(e->config.loop, stopped);
	free(e);
}

static void rest(struct expiry *e, int64_t ns)
{
	/* with no memory for a timer there are no more rounds until the next start: nothing is
	 * deleted, and the daemon has other worries */
	if (loop_timer_start(e->config.loop, &e->timer, ns))
		log_error("retention rests until the next start: not enough memory");
}

static void end_round(struct expiry *e)
{
	if (e->policies)
		steppe__wire__policies__free_unpacked(e->policies, NULL);
	e->policies = NULL;
	catalog_walk_release(&e->walk);
	move(e, EXPIRY_RESTING);
	e->counts.rounds++;
	if (e->stopped) {
		end_of_life(e);
		return;
	}
	if (e->config.round)
		e->config.round(e->config.owner, &e->counts);
	/* daemons that were started together must not sweep together */
	uint64_t spread = loop_random(e->config.loop) % (uint64_t)(e->config.every_ns / 10 + 1);
	rest(e, e->config.every_ns - (int64_t)spread);
}

/* --- sweeping --- */

static void sweep_day(struct expiry *e);

static void on_swept(struct writer_sweep *sweep)
{
	struct expiry *e = container_of(sweep, struct expiry, sweep);
	e->counts.flagged += sweep->flagged;
	e->counts.removed += sweep->removed;
	e->counts.removed_bytes += sweep->removed_bytes;
	e->counts.left += sweep->left;
	if (sweep->status) {
		e->counts.failures++;
		log_warn("sweep not finished stream=%s day=%d why=\"%s\"", e->stream, sweep->day,
			err_text(sweep->status));
	} else if (sweep->removed) {
		log_info("swept stream=%s day=%d chunks=%u bytes=%llu left=%u", e->stream,
			sweep->day, sweep->removed, (unsigned long long)sweep->removed_bytes,
			sweep->left);
	}
	e->day++;
	if (sweep->status == ERR_FENCED || sweep->status == -ECANCELED)
		e->day = e->day_count;
	sweep_day(e);
}

static void sweep_day(struct expiry *e)
{
	if (e->day == e->day_count || e->stopped) {
		keeper_release(&e->take);
		next_stream(e);
		return;
	}
	move(e, EXPIRY_SWEEPING);
	e->sweep = (struct writer_sweep){
		.done = on_swept,
		.day = e->days[e->day],
		.rule = e->rule,
		.now = e->now,
		.safe_us = e->config.safe_us,
		.removes_per_second = e->config.removes_per_second,
	};
	writer_sweep(e->take.writer, &e->sweep);
}

/* A sweep that was begun is finished though its policy may have changed since. */
static int add_begun(struct expiry *e)
{
	int32_t begun[HEAD_SWEEPS_MAX];
	size_t count = writer_sweeps(e->take.writer, begun);
	int32_t *days = realloc(e->days, (e->day_count + count + 1) * sizeof(*days));
	if (!days)
		return -ENOMEM;
	e->days = days;
	for (size_t i = 0; i < count; i++) {
		bool known = false;
		for (size_t k = 0; k < e->day_count && !known; k++)
			known = days[k] == begun[i];
		if (!known)
			days[e->day_count++] = begun[i];
	}
	return 0;
}

static void on_taken(struct keeper_take *take)
{
	struct expiry *e = container_of(take, struct expiry, take);
	if (take->status) {
		if (take->status != -ENOENT)
			e->counts.failures++;
		next_stream(e);
		return;
	}
	if (add_begun(e))
		e->day = e->day_count;
	sweep_day(e);
}

/* --- one stream --- */

static int choose_days(struct expiry *e, const struct index_days *days)
{
	e->day = e->day_count = 0;
	free(e->days);
	e->days = calloc(days->count + 1, sizeof(*e->days));
	if (!e->days)
		return -ENOMEM;
	for (size_t i = 0; i < days->count; i++)
		if (days->days[i].bytes &&
			retention_day_is_due(days->days[i].day, &e->rule, e->now))
			e->days[e->day_count++] = days->days[i].day;
	return 0;
}

static void on_days(struct reader_days *ask)
{
	struct expiry *e = container_of(ask, struct expiry, ask);
	/* a keeper that stops may be gone already */
	struct writer *owned = e->stopped ? NULL : keeper_find(e->config.keeper, e->stream);
	int32_t begun[HEAD_SWEEPS_MAX];
	int rc = ask->status;
	if (!rc)
		rc = choose_days(e, &ask->days);
	index_days_fini(&ask->days);
	if (rc && rc != -ENOENT)
		e->counts.failures++;
	if (rc || e->stopped || (!e->day_count && !(owned && writer_sweeps(owned, begun)))) {
		next_stream(e);
		return;
	}
	move(e, EXPIRY_TAKING);
	e->take = (struct keeper_take){.done = on_taken, .create = false};
	keeper_take(e->config.keeper, &e->take, e->stream);
}

static void look_at_days(struct expiry *e)
{
	e->counts.streams++;
	move(e, EXPIRY_DAYS);
	e->ask = (struct reader_days){.done = on_days};
	reader_days(e->config.reader, &e->ask, e->stream);
}

/* --- cameras --- */

static bool has_ceiling(struct expiry *e, const Steppe__Wire__Camera *camera)
{
	struct policy_found found;
	policy_find(e->policies, camera, &found);
	if (!found.policy)
		return false;
	e->rule = (struct retention_rule){found.policy->floor_us, found.policy->ceiling_us};
	/* what is stored may be older than today's checks */
	return e->rule.ceiling_us > 0 && e->rule.ceiling_us >= e->rule.floor_us;
}

static void on_cameras(struct catalog_walk *walk)
{
	struct expiry *e = container_of(walk, struct expiry, walk);
	e->camera = e->profile = 0;
	if (walk->status) {
		log_warn("retention: cameras cannot be read why=\"%s\"", err_text(walk->status));
		e->counts.failures++;
		end_round(e);
		return;
	}
	if (walk->count)
		snprintf(e->after, sizeof(e->after), "%s", walk->cameras[walk->count - 1]->id);
	next_stream(e);
}

static void read_page(struct expiry *e)
{
	catalog_walk_release(&e->walk);
	move(e, EXPIRY_CAMERAS);
	e->walk = (struct catalog_walk){.done = on_cameras, .removed_too = true};
	catalog_walk(e->config.catalog, &e->walk, e->after, PAGE);
}

/* The next stream that has a ceiling, of this page or of the next. Footage of a camera that was
 * removed has its ceiling still. */
static void next_stream(struct expiry *e)
{
	for (; e->camera < e->walk.count && !e->stopped; e->camera++, e->profile = 0) {
		const Steppe__Wire__Camera *c = e->walk.cameras[e->camera];
		if (!e->config.is_mine(e->config.owner, c->id) || !has_ceiling(e, c))
			continue;
		while (e->profile < c->n_profiles) {
			const char *profile = c->profiles[e->profile++];
			if (!profile_is_valid(profile))
				continue;
			snprintf(e->stream, sizeof(e->stream), "%s/%s", c->id, profile);
			look_at_days(e);
			return;
		}
	}
	if (e->walk.more && !e->stopped)
		read_page(e);
	else
		end_round(e);
}

static void on_policies(struct policies_get *get)
{
	struct expiry *e = container_of(get, struct expiry, get);
	e->policies = get->policies;
	if (get->status) {
		log_warn("retention: policies cannot be read why=\"%s\"", err_text(get->status));
		e->counts.failures++;
	}
	if (get->status || e->stopped || !e->policies->n_policies)
		end_round(e);
	else
		read_page(e);
}

static void on_timer(struct loop_timer *timer)
{
	struct expiry *e = container_of(timer, struct expiry, timer);
	e->counts.left = 0;
	e->after[0] = '\0';
	if (!e->config.now(e->config.owner, &e->now)) {
		rest(e, e->config.every_ns);
		return;
	}
	move(e, EXPIRY_POLICIES);
	e->get = (struct policies_get){.done = on_policies};
	policies_get(e->config.store, &e->get);
}

/* --- life --- */

int expiry_new(const struct expiry_config *config, struct expiry **ret_expiry)
{
	struct expiry *e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->config = *config;
	if (!e->config.every_ns)
		e->config.every_ns = PERIOD_NS;
	if (!e->config.safe_us)
		e->config.safe_us = RETENTION_SAFE_US;
	if (!e->config.removes_per_second)
		e->config.removes_per_second = REMOVES_STANDARD;
	e->timer.fire = on_timer;
	if (loop_timer_start(config->loop, &e->timer, e->config.every_ns / 10)) {
		free(e);
		return -ENOMEM;
	}
	*ret_expiry = e;
	return 0;
}

void expiry_free(struct expiry **slot, struct loop_task *stopped)
{
	struct expiry *e = *slot;
	*slot = NULL;
	e->stopped = stopped;
	if (e->state == EXPIRY_RESTING)
		end_of_life(e);
}
