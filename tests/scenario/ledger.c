/* SPDX-License-Identifier: Apache-2.0 */
/* The recorder's side of the promise. `record` shows a film to many cameras in real time and writes
 * down each fragment that the cluster acknowledged as durable; `check` fetches everything and
 * compares: what was acknowledged must be there, once and unchanged. It also tells how much of each
 * stream is there, to be compared with what was shown: "there STREAM DURATION_US".
 *
 *	ledger record CERTS ADDRESS FILM LEDGER SPOOL CAMERAS SECONDS [SHIFT_US]
 *	ledger check CERTS ADDRESS LEDGER FROM_US TO_US
 *
 * `record` ends by itself, or in order at SIGTERM; SHIFT_US is how wrong the cameras' clocks are.
 * CERTS/{ca.crt,NAME.crt,NAME.key} with NAME recorder or investigator. ADDRESS:
 * "host:port[,host:port...]". A ledger's lines: "durable STREAM SESSION SEQ CAPTURE_US DURATION_US
 * DIGEST", and at an orderly end "shown STREAM DURATION_US dropped COUNT reconnects COUNT". */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/steppe.h"
#include "tests/scenario/footage_mp4.h"

#define CAMERAS_MAX 1000

static volatile sig_atomic_t stopping;

static void on_signal(int number)
{
	(void)number;
	stopping = 1;
}

static void die(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

static void on_log(void *user, int level, const char *line)
{
	(void)user;
	if (level <= 1)
		fprintf(stderr, "%s\n", line);
}

static struct steppe *open_cluster(const char *certs, const char *addresses, const char *name)
{
	static char list[4096], ca[512], cert[512], key[512];
	static const char *pointers[64];
	size_t count = 0;
	snprintf(list, sizeof(list), "%s", addresses);
	for (char *at = strtok(list, ","); at && count < 63; at = strtok(NULL, ","))
		pointers[count++] = at;
	snprintf(ca, sizeof(ca), "%s/ca.crt", certs);
	snprintf(cert, sizeof(cert), "%s/%s.crt", certs, name);
	snprintf(key, sizeof(key), "%s/%s.key", certs, name);
	struct steppe_options options = STEPPE_INIT(steppe_options);
	options.addresses = pointers;
	options.ca = ca;
	options.cert = cert;
	options.key = key;
	options.name = "ledger";
	options.log = on_log;
	struct steppe *steppe;
	char why[256] = "";
	if (steppe_open(&options, &steppe, why, sizeof(why)))
		die("%s", why);
	return steppe;
}

static int64_t now_us(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* --- record --- */

struct camera {
	char stream[64];
	struct steppe_recorder *recorder;
	struct steppe_track track;
	int64_t shown; /* ticks of the film */
};

static FILE *ledger;
static pthread_mutex_t ledger_lock = PTHREAD_MUTEX_INITIALIZER;

static void on_durable(void *user, uint64_t session, uint64_t seq, int64_t capture_us,
	uint32_t duration_us, const uint8_t *digest)
{
	const struct camera *camera = user;
	char hex[65];
	for (int i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	pthread_mutex_lock(&ledger_lock);
	fprintf(ledger, "durable %s %016" PRIx64 " %" PRIu64 " %" PRId64 " %" PRIu32 " %s\n",
		camera->stream, session, seq, capture_us, duration_us, hex);
	fflush(ledger);
	pthread_mutex_unlock(&ledger_lock);
}

static void start_camera(struct steppe *steppe, struct camera *camera, const struct film *film,
	const char *spool, int number)
{
	snprintf(camera->stream, sizeof(camera->stream), "cam-%03d/main", number);
	camera->track = (struct steppe_track)STEPPE_INIT(steppe_track);
	camera->track.codec = film->h265 ? STEPPE_H265 : STEPPE_H264;
	camera->track.timescale = film->timescale;
	camera->track.width = film->width;
	camera->track.height = film->height;
	camera->track.config = film->config;
	camera->track.config_len = film->config_len;
	struct steppe_recorder_options options = STEPPE_INIT(steppe_recorder_options);
	options.stream = camera->stream;
	options.tracks = &camera->track;
	options.track_count = 1;
	options.spool_dir = spool;
	options.durable = on_durable;
	options.user = camera;
	int rc = steppe_record(steppe, &options, &camera->recorder);
	if (rc)
		die("%s: %s", camera->stream, steppe_error_text(rc));
}

/* The film's sample `index` counted over all its showings. */
static void show(struct camera *camera, const struct film *film, size_t index, int64_t start_us)
{
	const struct film_sample *from = &film->samples[index % film->count];
	int64_t shift = (int64_t)(index / film->count) * film->length;
	struct steppe_sample sample = STEPPE_INIT(steppe_sample);
	sample.data = from->data;
	sample.len = from->len;
	sample.dts = from->dts + shift;
	sample.pts = from->pts + shift;
	sample.duration = from->duration;
	sample.sync = from->sync;
	sample.wall_us = index == 0 ? start_us : -1;
	sample.clock = STEPPE_CLOCK_NTP;
	int rc = steppe_recorder_write(camera->recorder, &sample);
	if (rc)
		fprintf(stderr, "%s: sample %zu: %s\n", camera->stream, index,
			steppe_error_text(rc));
	camera->shown += from->duration;
}

static void tell_shown(struct camera *camera, const struct film *film)
{
	struct steppe_recorder_status status = STEPPE_INIT(steppe_recorder_status);
	steppe_recorder_status(camera->recorder, &status);
	pthread_mutex_lock(&ledger_lock);
	fprintf(ledger, "shown %s %" PRId64 " dropped %" PRIu64 " reconnects %" PRIu64 "\n",
		camera->stream, camera->shown * 1000000 / film->timescale, status.dropped_fragments,
		status.reconnects);
	pthread_mutex_unlock(&ledger_lock);
}

static int record(char **argv)
{
	static struct camera cameras[CAMERAS_MAX];
	struct film film;
	int count = atoi(argv[5]);
	int64_t length_us = (int64_t)(atof(argv[6]) * 1e6);
	if (count < 1 || count > CAMERAS_MAX || !film_read(argv[2], &film))
		die("usage: see the source");
	ledger = fopen(argv[3], "a");
	if (!ledger)
		die("%s: cannot be written", argv[3]);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	struct steppe *steppe = open_cluster(argv[0], argv[1], "recorder");
	for (int i = 0; i < count; i++)
		start_camera(steppe, &cameras[i], &film, argv[4], i);
	int64_t start_us = now_us(CLOCK_REALTIME) + (argv[7] ? atoll(argv[7]) : 0),
		began_us = now_us(CLOCK_MONOTONIC);
	for (size_t index = 0; !stopping; index++) {
		int64_t ticks = film.samples[index % film.count].dts +
				(int64_t)(index / film.count) * film.length;
		int64_t due_us = ticks * 1000000 / film.timescale;
		if (due_us >= length_us)
			break;
		int64_t wait_us = began_us + due_us - now_us(CLOCK_MONOTONIC);
		if (wait_us > 0)
			usleep((useconds_t)wait_us);
		for (int i = 0; i < count; i++)
			show(&cameras[i], &film, index, start_us);
	}
	int failed = 0;
	for (int i = 0; i < count; i++)
		(void)steppe_recorder_flush(
			cameras[i].recorder); /* all at once; closing waits for each */
	for (int i = 0; i < count; i++) {
		tell_shown(&cameras[i], &film);
		int rc = steppe_recorder_close(&cameras[i].recorder, 120000);
		if (rc) {
			fprintf(stderr, "%s: not all is durable: %s\n", cameras[i].stream,
				steppe_error_text(rc));
			failed = 1;
		}
	}
	fclose(ledger);
	steppe_close(&steppe);
	film_free(&film);
	printf("window %" PRId64 " %" PRId64 "\n", start_us, now_us(CLOCK_REALTIME));
	return failed;
}

/* --- check --- */

struct line {
	char stream[64];
	uint64_t session, seq;
	int64_t capture_us;
	uint32_t duration_us;
	uint8_t digest[32];
	bool found;
};

struct check {
	struct line *lines; /* sorted by stream, session, seq */
	size_t count, room;
	const char *stream; /* being fetched */
	size_t fetched, acknowledged, lost, changed, twice, damaged;
	int64_t there_us; /* of the stream being fetched */
	uint64_t last_session, last_seq;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool done;
	int status;
	struct seen {
		uint64_t session, seq;
	} * seen;
	size_t seen_count, seen_room;
};

static int compare_lines(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	int order = strcmp(x->stream, y->stream);
	if (order)
		return order;
	if (x->session != y->session)
		return x->session < y->session ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static void read_ledger(struct check *c, const char *path)
{
	FILE *file = fopen(path, "r");
	char text[512], hex[65];
	if (!file)
		die("%s: cannot be read", path);
	while (fgets(text, sizeof(text), file)) {
		struct line line = {0};
		/* the last line of a recorder that was killed may be cut: what it would have said
		 * was not heard by anyone */
		if (sscanf(text,
			    "durable %63s %" SCNx64 " %" SCNu64 " %" SCNd64 " %" SCNu32 " %64s",
			    line.stream, &line.session, &line.seq, &line.capture_us,
			    &line.duration_us, hex) != 6 ||
			strlen(hex) != 64)
			continue;
		for (int i = 0; i < 32; i++) {
			unsigned byte;
			sscanf(hex + 2 * i, "%2x", &byte);
			line.digest[i] = (uint8_t)byte;
		}
		if (c->count == c->room) {
			c->room = c->room ? 2 * c->room : 1024;
			c->lines = realloc(c->lines, c->room * sizeof(*c->lines));
			if (!c->lines)
				die("not enough memory");
		}
		c->lines[c->count++] = line;
	}
	fclose(file);
	qsort(c->lines, c->count, sizeof(*c->lines), compare_lines);
}

static void note_seen(struct check *c, uint64_t session, uint64_t seq)
{
	for (size_t i = c->seen_count; i-- > 0 && c->seen_count - i < 4096;) {
		if (c->seen[i].session == session && c->seen[i].seq == seq) {
			c->twice++;
			printf("twice: %s %016" PRIx64 " %" PRIu64 "\n", c->stream, session, seq);
			return;
		}
	}
	if (c->seen_count == c->seen_room) {
		c->seen_room = c->seen_room ? 2 * c->seen_room : 1024;
		c->seen = realloc(c->seen, c->seen_room * sizeof(*c->seen));
		if (!c->seen)
			die("not enough memory");
	}
	c->seen[c->seen_count++] = (struct seen){session, seq};
}

static bool on_fragment(void *user, const struct steppe_fragment *f)
{
	struct check *c = user;
	struct line key = {.session = f->session, .seq = f->seq};
	snprintf(key.stream, sizeof(key.stream), "%s", c->stream);
	c->fetched++;
	if (f->damaged) {
		c->damaged++;
		return true;
	}
	note_seen(c, f->session, f->seq);
	c->there_us += f->duration_us;
	struct line *line = bsearch(&key, c->lines, c->count, sizeof(*c->lines), compare_lines);
	if (!line)
		return true; /* durable, but the recorder had not heard it yet */
	line->found = true;
	if (memcmp(line->digest, f->digest, 32) != 0 || line->capture_us != f->capture_us ||
		line->duration_us != f->duration_us) {
		c->changed++;
		printf("changed: %s %016" PRIx64 " %" PRIu64 "\n", c->stream, f->session, f->seq);
	}
	return true;
}

static void on_done(void *user, int status)
{
	struct check *c = user;
	pthread_mutex_lock(&c->lock);
	c->done = true;
	c->status = status;
	pthread_cond_signal(&c->ended);
	pthread_mutex_unlock(&c->lock);
}

static void fetch_stream(
	struct check *c, struct steppe *steppe, const char *stream, int64_t from_us, int64_t to_us)
{
	const char *streams[] = {stream, NULL};
	struct steppe_fetch_options options = STEPPE_INIT(steppe_fetch_options);
	options.streams = streams;
	options.from_us = from_us;
	options.to_us = to_us;
	options.purpose = "ledger";
	options.fragment = on_fragment;
	options.done = on_done;
	options.user = c;
	c->stream = stream;
	c->done = false;
	c->seen_count = 0;
	c->there_us = 0;
	struct steppe_fetch *fetch;
	int rc = steppe_fetch(steppe, &options, &fetch);
	if (rc)
		die("%s: %s", stream, steppe_error_text(rc));
	pthread_mutex_lock(&c->lock);
	while (!c->done)
		pthread_cond_wait(&c->ended, &c->lock);
	pthread_mutex_unlock(&c->lock);
	if (c->status)
		die("%s: the fetch ended with %s", stream, steppe_error_text(c->status));
	printf("there %s %" PRId64 "\n", stream, c->there_us);
}

static int check(char **argv)
{
	static struct check c = {
		.lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};
	read_ledger(&c, argv[2]);
	struct steppe *steppe = open_cluster(argv[0], argv[1], "investigator");
	for (size_t i = 0; i < c.count; i++) {
		if (i == 0 || strcmp(c.lines[i].stream, c.lines[i - 1].stream) != 0)
			fetch_stream(&c, steppe, c.lines[i].stream, atoll(argv[3]), atoll(argv[4]));
	}
	for (size_t i = 0; i < c.count; i++) {
		const struct line *line = &c.lines[i];
		c.acknowledged++;
		if (line->found)
			continue;
		c.lost++;
		printf("lost: %s %016" PRIx64 " %" PRIu64 " capture %" PRId64 "\n", line->stream,
			line->session, line->seq, line->capture_us);
	}
	printf("acknowledged %zu fetched %zu lost %zu changed %zu twice %zu damaged %zu\n",
		c.acknowledged, c.fetched, c.lost, c.changed, c.twice, c.damaged);
	steppe_close(&steppe);
	free(c.lines);
	free(c.seen);
	return c.lost || c.changed || c.twice || c.damaged || !c.acknowledged;
}

int main(int argc, char **argv)
{
	if ((argc == 9 || argc == 10) && strcmp(argv[1], "record") == 0)
		return record(argv + 2);
	if (argc == 7 && strcmp(argv[1], "check") == 0)
		return check(argv + 2);
	die("usage: ledger record|check ... (see the source)");
}
