/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/errors.h"
#include "base/timetext.h"
#include "placement/map.h"
#include "proto/names.h"

enum kind { TEXT, FLAG, COUNT, BYTES, SPAN };

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static const struct setting {
	const char *key;
	enum kind kind;
	size_t offset;
	const char *standard; /* the default, as text */
	uint64_t min, max;    /* of numbers; durations in microseconds */
	const char *help;
} settings[] = {
#define AT(member) offsetof(struct config, member)
	{"node", TEXT, AT(node), "node1", 0, 0,
		"This daemon's id, unlike any other's in the cluster; also the name of its "
		"certificate in tls.dir."},
	{"store", TEXT, AT(store), "", 0, 0,
		"Where footage is kept: file:///srv/video, or "
		"rados://?conf=/etc/ceph/ceph.conf&meta=POOL&data=POOL. Must be given."},
	{"listen", TEXT, AT(listen), "127.0.0.1:7600", 0, 0,
		"Address for recorders and viewers, HOST:PORT."},
	{"http", TEXT, AT(http), "127.0.0.1:7680", 0, 0,
		"Address for /metrics and /health, HOST:PORT; empty: none."},
	{"loops", COUNT, AT(loops), "0", 0, 64, "Event loops, a thread each; 0: one a core."},
	{"log_level", TEXT, AT(log_level_word), "info", 0, 0,
		"error, warn, info or debug; read again at SIGHUP."},
	{"tls.dir", TEXT, AT(tls_dir), "", 0, 0,
		"Directory with ca.crt, NODE.crt, NODE.key and crl.pem, as steppe pki makes it."},
	{"tls.ca", TEXT, AT(tls_ca), "", 0, 0,
		"PEM file of trusted roots; default ca.crt in tls.dir."},
	{"tls.cert", TEXT, AT(tls_cert), "", 0, 0,
		"PEM file of this daemon's certificate; default NODE.crt in tls.dir."},
	{"tls.key", TEXT, AT(tls_key), "", 0, 0,
		"PEM file of its key; default NODE.key in tls.dir."},
	{"tls.crl", TEXT, AT(tls_crl), "", 0, 0,
		"PEM file of revocations, read again at SIGHUP; default crl.pem in tls.dir."},
	{"cluster.advertise", TEXT, AT(advertise), "", 0, 0,
		"Where clients and other daemons reach this one: up to four HOST:PORT, separated "
		"by "
		"commas; default: listen, with this machine's name for an address that means all."},
	{"cluster.rack", TEXT, AT(rack), "", 0, 0,
		"What fails together with this daemon, a rack or a room; empty: nothing does."},
	{"cluster.weight", COUNT, AT(weight), "1000", 1, PLACEMENT_WEIGHT_MAX,
		"Share of the cameras, against other daemons', when it joins for the first time; "
		"`steppe cluster weight` changes it."},
	{"cluster.moves_per_second", COUNT, AT(moves_per_second), "50", 1, 10000,
		"Streams moved to other daemons a second, when the map says so."},
	{"cluster.beat", SPAN, AT(beat_us), "1s", 100000, 10000000,
		"A heartbeat each so often; the same on all daemons."},
	{"cluster.dead", SPAN, AT(dead_us), "3s", 300000, 60000000,
		"A daemon without a heartbeat and without an answer for so long is dead; the same "
		"on "
		"all daemons."},
	{"record.any_camera", FLAG, AT(any_camera), "false", 0, 0,
		"Record cameras that nobody registered."},
	{"limits.connections", COUNT, AT(connections), "10000", 1, 1000000,
		"Connections at once; more are closed."},
	{"limits.handshakes", COUNT, AT(handshakes), "256", 1, 100000,
		"TLS handshakes at once; more wait."},
	{"limits.streams", COUNT, AT(streams), "10000", 1, 1000000,
		"Streams recorded at once; more are refused (too-many-streams)."},
	{"limits.fetches", COUNT, AT(fetches), "1000", 1, 1000000,
		"Retrievals at once; more are refused (overload)."},
	{"limits.ingest_memory", BYTES, AT(ingest_memory), "2GiB", 16 * MIB, 1024 * GIB,
		"Footage taken from recorders and not durable yet, all streams together; recorders "
		"are slowed as it is used up."},
	{"limits.lane_window", BYTES, AT(lane_window), "8MiB", 256 * KIB, 64 * MIB,
		"Most of that for one lane of a stream."},
	{"limits.cache_memory", BYTES, AT(cache_memory), "64MiB", MIB, 64 * GIB,
		"Decoded index and tables kept for readers, each loop."},
	{"chunk.min_length", SPAN, AT(chunk_min_us), "60s", 1000000, 900000000,
		"A chunk ends at a sync picture after this and chunk.min_bytes."},
	{"chunk.min_bytes", BYTES, AT(chunk_min_bytes), "4MiB", 0, 32 * MIB,
		"See chunk.min_length."},
	{"chunk.max_length", SPAN, AT(chunk_max_us), "15m", 1000000, 900000000,
		"A chunk ends at any fragment after this."},
	{"chunk.max_bytes", BYTES, AT(chunk_max_bytes), "32MiB", 5 * MIB, 48 * MIB,
		"A chunk never grows past this."},
	{"chunk.silence", SPAN, AT(chunk_silence_us), "60s", 1000000, 3600000000,
		"A chunk is sealed after this long without a fragment."},
	{"batch.bytes", BYTES, AT(batch_bytes), "1MiB", 64 * KIB, 8 * MIB,
		"Fragments are written to the store together, up to four times this, once they are "
		"this many "
		"bytes ..."},
	{"batch.time", SPAN, AT(batch_us), "1s", 10000, 10000000,
		"... or the oldest has waited this long."},
	{"idle_yield", SPAN, AT(idle_yield_us), "10m", 1000000, 86400000000,
		"A stream nobody writes or follows is forgotten after this."},
	{"retention.every", SPAN, AT(retention_every_us), "1h", 1000000, 86400000000,
		"How often footage past its ceiling is looked for and removed."},
	{"retention.safe_delay", SPAN, AT(retention_safe_us), "12h", 3600000000, 86400000000,
		"Backfill, footage with a doubtful clock and what a crashed daemon left is removed "
		"this long after it was found due; it is not shown meanwhile."},
	{"retention.removes_per_second", COUNT, AT(retention_removes), "200", 1, 100000,
		"Most chunks each loop removes a second."},
	{"stop_timeout", SPAN, AT(stop_us), "30s", 0, 3600000000,
		"At SIGTERM: how long to wait for batches and seals; what is left the next owner "
		"finishes."},
#undef AT
};

static void *member_of(struct config *c, const struct setting *s)
{
	return (char *)c + s->offset;
}

static const void *value_of(const struct config *c, const struct setting *s)
{
	return (const char *)c + s->offset;
}

static const struct setting *find(const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		if (strcmp(settings[i].key, key) == 0)
			return &settings[i];
	}
	return NULL;
}

/* "64", "512KiB", "1MiB", "2GiB". */
static int parse_number(const char *text, bool bytes, uint64_t *ret_value)
{
	char *end;
	errno = 0;
	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	unsigned long long value = strtoull(text, &end, 10);
	uint64_t unit = 1;
	if (bytes && strcmp(end, "KiB") == 0)
		unit = KIB;
	else if (bytes && strcmp(end, "MiB") == 0)
		unit = MIB;
	else if (bytes && strcmp(end, "GiB") == 0)
		unit = GIB;
	else if (*end)
		return -EINVAL;
	uint64_t scaled;
	if (errno || __builtin_mul_overflow((uint64_t)value, unit, &scaled))
		return -EINVAL;
	*ret_value = scaled;
	return 0;
}

static void format_number(char to[32], enum kind kind, uint64_t value)
{
	static const struct {
		enum kind kind;
		uint64_t unit;
		const char *suffix;
	} units[] = {{BYTES, GIB, "GiB"}, {BYTES, MIB, "MiB"}, {BYTES, KIB, "KiB"},
		{SPAN, UINT64_C(86400000000), "d"}, {SPAN, UINT64_C(3600000000), "h"},
		{SPAN, 60000000, "m"}, {SPAN, 1000000, "s"}, {SPAN, 1000, "ms"}, {SPAN, 1, "us"}};
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (units[i].kind != kind || !value || value % units[i].unit)
			continue;
		snprintf(to, 32, "%" PRIu64 "%s", value / units[i].unit, units[i].suffix);
		return;
	}
	snprintf(to, 32, kind == SPAN ? "0s" : "%" PRIu64, value);
}

static int set_number(
	struct config *c, const struct setting *s, const char *value, char *why, size_t why_size)
{
	uint64_t number;
	int rc;
	if (s->kind == SPAN) {
		int64_t us = 0;
		rc = timetext_parse_duration(value, &us);
		number = (uint64_t)us;
	} else {
		rc = parse_number(value, s->kind == BYTES, &number);
	}
	if (rc || number < s->min || number > s->max) {
		char min[32], max[32];
		format_number(min, s->kind, s->min);
		format_number(max, s->kind, s->max);
		snprintf(why, why_size, "%s: %s is not a %s from %s to %s", s->key, value,
			s->kind == SPAN    ? "duration"
			: s->kind == BYTES ? "size"
					   : "number",
			min, max);
		return ERR_CONFIG;
	}
	memcpy(member_of(c, s), &number, sizeof(number));
	return 0;
}

static int set_flag(
	struct config *c, const struct setting *s, const char *value, char *why, size_t why_size)
{
	bool on = strcmp(value, "true") == 0 || strcmp(value, "yes") == 0;
	if (!on && strcmp(value, "false") != 0 && strcmp(value, "no") != 0) {
		snprintf(why, why_size, "%s: %s is neither true nor false", s->key, value);
		return ERR_CONFIG;
	}
	*(bool *)member_of(c, s) = on;
	return 0;
}

static int set_text(
	struct config *c, const struct setting *s, const char *value, char *why, size_t why_size)
{
	for (const char *at = value; *at; at++) {
		if ((unsigned char)*at >= 0x20 && *at != 0x7f)
			continue;
		snprintf(why, why_size,
			"%s: a text of one line without control characters is wanted", s->key);
		return ERR_CONFIG;
	}
	char *copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	char **member = member_of(c, s);
	free(*member);
	*member = copy;
	return 0;
}

int config_set(struct config *c, const char *key, const char *value, char *why, size_t why_size)
{
	const struct setting *s = find(key);
	if (!s) {
		snprintf(why, why_size,
			"there is no setting %s; storaged --settings lists them all", key);
		return ERR_CONFIG;
	}
	if (s->kind == TEXT)
		return set_text(c, s, value, why, why_size);
	return s->kind == FLAG ? set_flag(c, s, value, why, why_size)
			       : set_number(c, s, value, why, why_size);
}

int config_init(struct config *c)
{
	char why[128];
	*c = (struct config){0};
	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		int rc = config_set(c, settings[i].key, settings[i].standard, why, sizeof(why));
		CHECK(rc != ERR_CONFIG);
		if (rc) {
			config_fini(c);
			return rc;
		}
	}
	return 0;
}

void config_fini(struct config *c)
{
	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		if (settings[i].kind != TEXT)
			continue;
		char **member = member_of(c, &settings[i]);
		free(*member);
		*member = NULL;
	}
}

/* A TLS file's name, unless it was given: a name in tls.dir. */
static int default_file(char **file, const struct config *c, const char *stem, const char *suffix)
{
	if ((*file)[0] || !c->tls_dir[0])
		return 0;
	size_t size = strlen(c->tls_dir) + strlen(stem) + strlen(suffix) + 2;
	char *path = malloc(size);
	if (!path)
		return -ENOMEM;
	snprintf(path, size, "%s/%s%s", c->tls_dir, stem, suffix);
	free(*file);
	*file = path;
	return 0;
}

int config_finish(struct config *c, char *why, size_t why_size)
{
	enum log_level level;
	const char *words = NULL;
	if (!c->store[0])
		words = "store is not set: give --store URL or a setting, for example "
			"file:///srv/video";
	else if (!camera_id_is_valid(c->node))
		words = "node must have 1 to 64 of A-Z a-z 0-9 . _ -, begin with a letter or a "
			"digit, and hold no ..";
	else if (strlen(c->rack) > PLACEMENT_RACK_MAX)
		words = "cluster.rack has at most 32 characters";
	else if (c->dead_us < 3 * c->beat_us)
		words = "cluster.dead must be at least three times cluster.beat";
	else if (log_level_parse(c->log_level_word, &level))
		words = "log_level must be error, warn, info or debug";
	else if (!c->tls_dir[0] && !(c->tls_ca[0] && c->tls_cert[0] && c->tls_key[0]))
		words = "tls is not set: give --tls DIR (steppe pki init DIR makes one), or "
			"tls.ca, tls.cert and tls.key";
	else if (c->chunk_min_us > c->chunk_max_us || c->chunk_min_bytes > c->chunk_max_bytes)
		words = "chunk.min_length and chunk.min_bytes must not be more than "
			"chunk.max_length and chunk.max_bytes";
	if (words) {
		snprintf(why, why_size, "%s", words);
		return ERR_CONFIG;
	}
	if (default_file(&c->tls_ca, c, "ca", ".crt") ||
		default_file(&c->tls_cert, c, c->node, ".crt") ||
		default_file(&c->tls_key, c, c->node, ".key") ||
		default_file(&c->tls_crl, c, "crl", ".pem")) {
		snprintf(why, why_size, "not enough memory");
		return -ENOMEM;
	}
	return 0;
}

struct cutter_limits config_cutter(const struct config *c)
{
	return (struct cutter_limits){
		.min_us = c->chunk_min_us,
		.min_bytes = c->chunk_min_bytes,
		.max_us = c->chunk_max_us,
		.max_bytes = c->chunk_max_bytes,
		.silence_ns = c->chunk_silence_us * 1000,
		.batch_bytes = (uint32_t)c->batch_bytes,
		.batch_ns = c->batch_us * 1000,
	};
}

enum log_level config_log_level(const struct config *c)
{
	enum log_level level = LOG_INFO;
	(void)log_level_parse(c->log_level_word, &level); /* config_finish has judged it */
	return level;
}

void config_write_reference(FILE *to)
{
	static const char *const kinds[] = {"text", "true or false", "number",
		"size (KiB, MiB, GiB)", "duration (ms, s, m, h, d)"};
	fputs("| setting | kind | default | least | most | meaning |\n|---|---|---|---|---|---|\n",
		to);
	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		const struct setting *s = &settings[i];
		char min[32] = "", max[32] = "";
		if (s->kind != TEXT && s->kind != FLAG) {
			format_number(min, s->kind, s->min);
			format_number(max, s->kind, s->max);
		}
		fprintf(to, "| `%s` | %s | %s%s%s | %s | %s | %s |\n", s->key, kinds[s->kind],
			s->standard[0] ? "`" : "", s->standard, s->standard[0] ? "`" : "", min, max,
			s->help);
	}
}

static void write_text(const char *text, FILE *to)
{
	fputc('"', to);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', to);
		fputc(*text, to);
	}
	fputs("\"\n", to);
}

void config_write(const struct config *c, FILE *to)
{
	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		const struct setting *s = &settings[i];
		const char *dot = strchr(s->key, '.');
		size_t group = dot ? (size_t)(dot - s->key) : 0;
		/* a group's name once, before its first setting: they stand together in the table */
		if (group && (i == 0 || strncmp(settings[i - 1].key, s->key, group + 1) != 0))
			fprintf(to, "%.*s:\n", (int)group, s->key);
		fprintf(to, "%s%s: ", group ? "  " : "", group ? dot + 1 : s->key);
		if (s->kind == TEXT) {
			write_text(*(char *const *)value_of(c, s), to);
		} else if (s->kind == FLAG) {
			fprintf(to, "%s\n", *(const bool *)value_of(c, s) ? "true" : "false");
		} else {
			uint64_t number;
			char text[32];
			memcpy(&number, value_of(c, s), sizeof(number));
			format_number(text, s->kind, number);
			fprintf(to, "%s\n", text);
		}
	}
}
