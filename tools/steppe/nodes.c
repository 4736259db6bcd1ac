/* SPDX-License-Identifier: Apache-2.0 */
/* steppe cluster status, join, drain, remove, weight: the daemons of a cluster. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/timetext.h"
#include "tools/steppe/cluster.h"
#include "tools/steppe/columns.h"
#include "tools/steppe/complain.h"
#include "tools/steppe/human.h"
#include "tools/steppe/json.h"
#include "tools/steppe/term.h"

#define WEIGHT_MAX 1000000

static const char *state_word(enum steppe_node_state state)
{
	switch (state) {
	case STEPPE_NODE_IN:
		return "in";
	case STEPPE_NODE_DRAINING:
		return "draining";
	case STEPPE_NODE_OUT:
		return "out";
	}
	return "?";
}

static bool takes_cameras(const struct steppe_node_status *n)
{
	return n->alive && n->state == STEPPE_NODE_IN;
}

/* What all carry, and what all nodes that take cameras weigh. */
struct totals {
	int64_t bits_per_second;
	uint64_t weight, streams;
	unsigned alive;
};

static struct totals total(const struct steppe_cluster_status *s)
{
	struct totals t = {0};
	for (size_t i = 0; i < s->node_count; i++) {
		const struct steppe_node_status *n = &s->nodes[i];
		t.bits_per_second += n->alive ? n->bits_per_second : 0;
		t.streams += n->alive ? n->streams : 0;
		t.weight += takes_cameras(n) ? n->weight : 0;
		t.alive += n->alive;
	}
	return t;
}

static double fair_share(const struct totals *t, const struct steppe_node_status *n)
{
	return takes_cameras(n) ? (double)n->weight / (double)t->weight : 0;
}

/* Of what is recorded now; by streams while hardly anything flows. */
static double share(const struct totals *t, const struct steppe_node_status *n)
{
	if (!n->alive)
		return 0;
	if (t->bits_per_second)
		return (double)n->bits_per_second / (double)t->bits_per_second;
	return t->streams ? (double)n->streams / (double)t->streams : 0;
}

static void print_json(const struct steppe_cluster_status *s)
{
	struct json j = {.to = stdout};
	struct totals t = total(s);
	json_open(&j, '{');
	json_member_uint(&j, "map_epoch", s->map_epoch);
	json_member_string(&j, "leader", s->leader);
	json_member_int(&j, "time_us", s->time_us);
	json_key(&j, "nodes");
	json_open(&j, '[');
	for (size_t i = 0; i < s->node_count; i++) {
		const struct steppe_node_status *n = &s->nodes[i];
		json_open(&j, '{');
		json_member_string(&j, "id", n->id);
		json_member_string(&j, "state", state_word(n->state));
		json_member_bool(&j, "alive", n->alive);
		json_member_bool(&j, "leads", n->leads);
		json_member_bool(&j, "leaving", n->leaving);
		json_member_string(&j, "rack", n->rack);
		json_member_uint(&j, "weight", n->weight);
		json_member_uint(&j, "streams", n->streams);
		json_member_uint(&j, "connections", n->connections);
		json_member_int(&j, "bits_per_second", n->bits_per_second);
		json_member_double(&j, "share", share(&t, n));
		json_member_double(&j, "fair_share", fair_share(&t, n));
		json_member_int(&j, "clock_offset_us", n->clock_offset_us);
		json_member_string(&j, "address", n->address);
		json_member_string(&j, "software", n->software);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_close(&j, '}');
	json_end(&j);
}

static const char *health_word(const struct steppe_node_status *n)
{
	return !n->alive ? (n->leaving ? "left" : "dead") : n->leads ? "alive, leads" : "alive";
}

static void add_row(
	struct columns *columns, const struct totals *t, const struct steppe_node_status *n)
{
	char weight[16], streams[16], rate[HUMAN_MAX], shares[32], clock[32];
	snprintf(weight, sizeof(weight), "%" PRIu32, n->weight);
	snprintf(streams, sizeof(streams), "%" PRIu32, n->streams);
	human_rate((uint64_t)n->bits_per_second, rate);
	snprintf(shares, sizeof(shares), "%.0f %% of %.0f %%", 100 * share(t, n),
		100 * fair_share(t, n));
	snprintf(clock, sizeof(clock), "%+.3f s", (double)n->clock_offset_us / 1e6);
	columns_add(columns,
		(const char *const[]){n->id, health_word(n), state_word(n->state), n->rack, weight,
			n->alive ? streams : "-", n->alive ? rate : "-", n->alive ? shares : "-",
			n->alive ? clock : "-", n->address, n->software});
}

struct shown {
	const struct command_call *call;
	int error;
};

static void show(void *user, const struct steppe_cluster_status *s)
{
	static const char *const heads[] = {"NODE", "HEALTH", "STATE", "RACK", "WEIGHT", "STREAMS",
		"RATE", "SHARE OF FAIR", "CLOCK", "ADDRESS", "SOFTWARE"};
	struct shown *w = user;
	if (w->call->json) {
		print_json(s);
		return;
	}
	bool colour = term_has_colour(stdout);
	struct totals t = total(s);
	char time[TIMETEXT_MAX];
	timetext_format(
		(struct wall){s->time_us / US_PER_SECOND * US_PER_SECOND}, w->call->utc, time);
	printf("map %" PRIu64 ", leader %s, %" PRIu64 " nodes, %s%u alive%s, %s\n\n", s->map_epoch,
		s->leader[0] ? s->leader : "none", s->node_count,
		term_code(t.alive < s->node_count ? TERM_YELLOW : TERM_GREEN, colour), t.alive,
		term_code(TERM_PLAIN, colour), time);
	struct columns columns = {.count = 11,
		.heads = heads,
		.right = 1u << 4 | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 8,
		.bold_heads = colour};
	for (size_t i = 0; i < s->node_count; i++)
		add_row(&columns, &t, &s->nodes[i]);
	w->error = columns_print(&columns, stdout, "\n");
}

static enum exit_code status_run(struct command_call *call, const void *args)
{
	(void)args;
	struct cluster cluster;
	enum exit_code code = cluster_open(&cluster, call);
	if (code)
		return code;
	struct shown w = {.call = call};
	int error = steppe_cluster_status(cluster.steppe, show, &w);
	if (!error)
		error = w.error;
	if (error)
		code = complain_of(call, error, "the state of the cluster");
	cluster_close(&cluster);
	return code;
}

/* What an admin wants of a node; zeroes stay. */
struct wish {
	enum steppe_node_state state;
	uint32_t weight;
	bool remove;
};

static enum exit_code set(struct command_call *call, struct wish wish, const char *words)
{
	const char *id = call->words[0];
	struct cluster cluster;
	char doing[128];
	enum exit_code code = cluster_open(&cluster, call);
	if (code)
		return code;
	snprintf(doing, sizeof(doing), "node %.64s", id);
	int error = steppe_node_set(cluster.steppe, id, wish.state, wish.weight, wish.remove);
	if (error)
		code = complain_of(call, error, doing);
	else if (!call->quiet)
		printf("%s %s\n", id, words);
	cluster_close(&cluster);
	return code;
}

static enum exit_code join_run(struct command_call *call, const void *args)
{
	(void)args;
	return set(call, (struct wish){.state = STEPPE_NODE_IN}, "may take cameras");
}

static enum exit_code drain_run(struct command_call *call, const void *args)
{
	(void)args;
	return set(call, (struct wish){.state = STEPPE_NODE_DRAINING},
		"gives its cameras to the others");
}

static enum exit_code remove_run(struct command_call *call, const void *args)
{
	(void)args;
	return set(call, (struct wish){.remove = true}, "is no node of the cluster any more");
}

static enum exit_code weight_run(struct command_call *call, const void *args)
{
	(void)args;
	char *end;
	unsigned long weight = strtoul(call->words[1], &end, 10);
	if (*end || call->words[1][0] < '0' || call->words[1][0] > '9' || !weight ||
		weight > WEIGHT_MAX) {
		complainf(call, NULL,
			"a weight is a number from 1 to %d, 1000 for an ordinary node", WEIGHT_MAX);
		return ENDED_USAGE;
	}
	return set(call, (struct wish){.weight = (uint32_t)weight}, "has its new weight");
}

const struct command command_cluster_status = {
	.name = "cluster status",
	.words = "",
	.brief = "the cluster's nodes: who is alive and leads, what each carries",
	.about = "SHARE OF FAIR: a node's part of all that is recorded now, against its weight's "
		 "part of the nodes that take cameras.\n\n"
		 "CLOCK: how far its clock is from the cluster's, the median of all.",
	.examples = "steppe cluster status",
	.uses = USES_CLUSTER | USES_JSON | USES_TIMES,
	.run = status_run,
};

const struct command command_cluster_join = {
	.name = "cluster join",
	.words = "NODE",
	.least_words = 1,
	.most_words = 1,
	.brief = "let a node take cameras (again)",
	.about = "After a drain, or for one that was removed: its daemon may start again then. A "
		 "new daemon needs none of this: it joins when it starts.",
	.examples = "steppe cluster join node3",
	.uses = USES_CLUSTER,
	.run = join_run,
};

const struct command command_cluster_drain = {
	.name = "cluster drain",
	.words = "NODE",
	.least_words = 1,
	.most_words = 1,
	.brief = "move all of a node's cameras to the others",
	.about = "Without a gap, so many a second (cluster.moves_per_second). Its daemon goes on "
		 "and answers questions. Stopping a daemon (SIGTERM) does the same by itself.",
	.examples = "steppe cluster drain node3",
	.uses = USES_CLUSTER,
	.run = drain_run,
};

const struct command command_cluster_remove = {
	.name = "cluster remove",
	.words = "NODE",
	.least_words = 1,
	.most_words = 1,
	.brief = "take a node whose daemon has stopped out of the cluster",
	.about = "Its daemon is refused from then on, until steppe cluster join NODE. Footage is "
		 "not touched: it lies in Ceph.",
	.examples = "steppe cluster remove node3",
	.uses = USES_CLUSTER,
	.run = remove_run,
};

const struct command command_cluster_weight = {
	.name = "cluster weight",
	.words = "NODE WEIGHT",
	.least_words = 2,
	.most_words = 2,
	.brief = "how many cameras a node takes, against the others",
	.about = "1000 is an ordinary node. No more cameras move than the new weights ask for.",
	.examples = "# twice the machine\nsteppe cluster weight node3 2000",
	.uses = USES_CLUSTER,
	.run = weight_run,
};
