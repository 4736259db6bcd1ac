/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/steppe/recordview.h"

#include <stdlib.h>
#include <string.h>

#include "tools/steppe/columns.h"
#include "tools/steppe/human.h"
#include "tools/steppe/json.h"
#include "tools/steppe/term.h"

#define SUMMARY_US   (60 * US_PER_SECOND) /* where nobody watches */
#define LATE_US      (10 * US_PER_SECOND) /* a lag that is worth a colour */
#define CLOCK_OFF_US (2 * US_PER_SECOND)

void recordview_init(struct recordview *v, const struct command_call *call, bool table)
{
	*v = (struct recordview){.call = call, .to = stdout, .table = table};
	v->live = term_is_tty(stdout) && !call->json && !call->quiet;
}

/* The state in a word, and how bad it is: 0 well, 1 look, 2 bad. */
static const char *state_of(const struct recording_view *view, int *ret_bad)
{
	const struct steppe_recorder_status *r = &view->recorder;
	*ret_bad = 2;
	if (view->end == RECORDING_FAILED)
		return "failed";
	if (r->refusal && !r->connected)
		return "refused";
	if (r->dropped_fragments > 0 || view->lost_samples > 0)
		return "losing";
	*ret_bad = 1;
	if (view->end == RECORDING_DONE)
		return "ended";
	if (view->source == SOURCE_WAITING)
		return "no camera";
	if (view->source == SOURCE_CONNECTING || !view->opened)
		return "connecting";
	if (!r->connected && r->durable_fragments == 0 && r->reconnects == 0 && r->spool_bytes == 0)
		return "opening";
	if (!r->connected)
		return r->spool_bytes > 0 ? "spooling" : "no cluster";
	*ret_bad = 0;
	return "recording";
}

static int64_t lag_of(const struct recording_view *view)
{
	if (view->recorder.durable_until_us < 0 || view->last_us < 0)
		return -1;
	int64_t lag = view->last_us - view->recorder.durable_until_us;
	return lag < 0 ? 0 : lag;
}

/* What else a person should know of the stream. */
static void note_of(const struct recording_view *view, char *to, size_t size)
{
	char span[HUMAN_MAX];
	const struct steppe_recorder_status *r = &view->recorder;
	to[0] = 0;
	if (r->refusal && !r->connected)
		snprintf(to, size, "%s",
			view->refusal_reason[0] ? view->refusal_reason
						: steppe_refusal_text(r->refusal));
	else if (r->dropped_fragments > 0)
		snprintf(to, size, "%llu fragments lost: the spool is full",
			(unsigned long long)r->dropped_fragments);
	else if (view->lost_samples > 0)
		snprintf(to, size, "%llu samples lost: no room in memory or spool",
			(unsigned long long)view->lost_samples);
	else if (view->words[0])
		snprintf(to, size, "%s", view->words);
	else if (view->camera_ahead_us > CLOCK_OFF_US || view->camera_ahead_us < -CLOCK_OFF_US) {
		human_span(
			view->camera_ahead_us < 0 ? -view->camera_ahead_us : view->camera_ahead_us,
			span);
		snprintf(to, size, "its clock is %s %s", span,
			view->camera_ahead_us < 0 ? "slow" : "fast");
	}
}

void recordview_words(
	const struct recordview *v, const struct recording_view *view, char *to, size_t size)
{
	char until[HUMAN_MAX], lag[HUMAN_MAX], rate[HUMAN_MAX], waiting[HUMAN_MAX], note[200];
	int bad;
	const char *state = state_of(view, &bad);
	uint64_t undurable = view->recorder.memory_bytes + view->recorder.spool_bytes;
	int n = snprintf(to, size, "%s", state);
	if (view->recorder.durable_until_us >= 0) {
		human_time((struct wall){view->recorder.durable_until_us}, v->now, v->call->utc,
			until);
		human_span(lag_of(view), lag);
		human_rate(view->bits_per_second, rate);
		n += snprintf(to + n, size - (size_t)n, ", kept until %s, %s behind, %s", until,
			lag, rate);
	}
	if (view->recorder.spool_bytes > 0 && (size_t)n < size) {
		human_bytes(undurable, waiting);
		n += snprintf(to + n, size - (size_t)n, ", %s wait", waiting);
	}
	note_of(view, note, sizeof(note));
	if (note[0] && (size_t)n < size)
		snprintf(to + n, size - (size_t)n, " (%s)", note);
}

void recordview_json(const struct recordview *v, const struct recordview_row *row)
{
	const struct steppe_recorder_status *r = &row->view.recorder;
	struct json j = {.to = v->to};
	int bad;
	json_open(&j, '{');
	json_member_string(&j, "stream", row->stream);
	json_member_int(&j, "now_us", v->now.us);
	json_member_string(&j, "state", state_of(&row->view, &bad));
	json_member_string(&j, "words", row->view.words);
	json_member_bool(&j, "connected", r->connected);
	json_member_string(&j, "refusal", r->refusal ? steppe_refusal_word(r->refusal) : NULL);
	json_member_int(&j, "durable_until_us", r->durable_until_us);
	json_member_int(&j, "captured_until_us", r->captured_until_us);
	json_member_uint(&j, "fragments", r->fragments);
	json_member_uint(&j, "durable_fragments", r->durable_fragments);
	json_member_uint(&j, "bytes", r->bytes);
	json_member_uint(&j, "bits_per_second", row->view.bits_per_second);
	json_member_uint(&j, "memory_bytes", r->memory_bytes);
	json_member_uint(&j, "spool_bytes", r->spool_bytes);
	json_member_uint(&j, "dropped_fragments", r->dropped_fragments);
	json_member_uint(&j, "reconnects", r->reconnects);
	json_member_int(&j, "camera_ahead_us", row->view.camera_ahead_us);
	json_close(&j, '}');
	json_end(&j);
	fflush(v->to);
}

/* --- the table --- */

/* Trouble first, so that it is seen though the screen is short. */
static int by_trouble(const void *a, const void *b)
{
	const struct recordview_row *const *x = a, *const *y = b;
	int bad_x, bad_y;
	(void)state_of(&(*x)->view, &bad_x);
	(void)state_of(&(*y)->view, &bad_y);
	return bad_x != bad_y ? bad_y - bad_x : strcmp((*x)->stream, (*y)->stream);
}

static void add_row(struct columns *c, const struct recordview *v, const struct recordview_row *row,
	bool colour)
{
	static const enum term_colour colours[] = {TERM_GREEN, TERM_YELLOW, TERM_RED};
	char state[64], until[HUMAN_MAX], lag[HUMAN_MAX] = "-", rate[HUMAN_MAX],
					  spool[HUMAN_MAX] = "-", note[200], late[64];
	int bad;
	const char *word = state_of(&row->view, &bad);
	snprintf(state, sizeof(state), "%s%s%s", term_code(colours[bad], colour), word,
		term_code(TERM_PLAIN, colour));
	human_time((struct wall){row->view.recorder.durable_until_us}, v->now, v->call->utc, until);
	int64_t behind = lag_of(&row->view);
	if (behind >= 0)
		human_span(behind, lag);
	bool is_late = behind > LATE_US;
	snprintf(late, sizeof(late), "%s%s%s", term_code(TERM_YELLOW, colour && is_late), lag,
		term_code(TERM_PLAIN, colour && is_late));
	human_rate(row->view.bits_per_second, rate);
	if (row->view.recorder.spool_bytes > 0)
		human_bytes(row->view.recorder.spool_bytes, spool);
	note_of(&row->view, note, sizeof(note));
	columns_add(c, (const char *const[]){row->stream, state, until, late, rate, spool, note});
}

static void totals(const struct recordview *v, const struct recordview_row *rows, size_t count)
{
	size_t well = 0;
	uint64_t bits = 0, spool = 0;
	int bad;
	char rate[HUMAN_MAX], spool_text[HUMAN_MAX], time[HUMAN_MAX];
	for (size_t i = 0; i < count; i++) {
		(void)state_of(&rows[i].view, &bad);
		well += bad == 0;
		bits += rows[i].view.bits_per_second;
		spool += rows[i].view.recorder.spool_bytes;
	}
	human_rate(bits, rate);
	human_bytes(spool, spool_text);
	human_time(v->now, v->now, v->call->utc, time);
	fprintf(v->to, "%s  %zu of %zu recording, %s", time, well, count, rate);
	if (spool > 0)
		fprintf(v->to, ", %s wait in the spool", spool_text);
	fputs(v->live ? "\x1b[K\n" : "\n", v->to);
}

static void draw_table(struct recordview *v, struct recordview_row *rows, size_t count)
{
	static const char *const heads[] = {
		"STREAM", "STATE", "KEPT UNTIL", "BEHIND", "RATE", "SPOOL", "NOTE"};
	bool colour = term_has_colour(v->to);
	const struct recordview_row **sorted = calloc(count, sizeof(*sorted));
	if (!sorted)
		return;
	for (size_t i = 0; i < count; i++)
		sorted[i] = &rows[i];
	qsort(sorted, count, sizeof(*sorted), by_trouble);
	unsigned room = term_rows(v->to) > 5 ? term_rows(v->to) - 4 : 1;
	size_t shown = count < room ? count : room;
	struct columns c = {.count = 7,
		.heads = heads,
		.right = 1u << 3 | 1u << 4 | 1u << 5,
		.bold_heads = colour,
		.limit = term_columns(v->to)};
	for (size_t i = 0; i < shown; i++)
		add_row(&c, v, sorted[i], colour);
	free(sorted);
	totals(v, rows, count);
	(void)columns_print(&c, v->to, "\x1b[K\n"); /* memory running short costs a drawing */
	v->lines = 2 + (unsigned)shown;
	if (shown < count) {
		fprintf(v->to, "and %zu more\x1b[K\n", count - shown);
		v->lines++;
	}
}

/* --- where nobody watches --- */

static bool changed(struct recordview_row *row)
{
	int bad;
	char note[200];
	const char *state = state_of(&row->view, &bad);
	note_of(&row->view, note, sizeof(note));
	/* a beginning is no news */
	if (strcmp(state, "connecting") == 0 || strcmp(state, "opening") == 0)
		return false;
	if (row->told_state && strcmp(row->told_state, state) == 0 &&
		strcmp(row->told_note, note) == 0)
		return false;
	row->told_state = state;
	snprintf(row->told_note, sizeof(row->told_note), "%s", note);
	return true;
}

static void tell_changes(struct recordview *v, struct recordview_row *rows, size_t count)
{
	char words[512];
	for (size_t i = 0; i < count; i++) {
		bool new = changed(&rows[i]);
		if (v->call->json && new) {
			recordview_json(v, &rows[i]);
		} else if (new) {
			recordview_words(v, &rows[i].view, words, sizeof(words));
			fprintf(v->to, "%s: %s\n", rows[i].stream, words);
		}
	}
	if (v->now.us < v->next_summary_us)
		return;
	if (v->next_summary_us > 0 && v->call->json) {
		for (size_t i = 0; i < count; i++)
			recordview_json(v, &rows[i]);
	} else if (v->next_summary_us > 0) {
		totals(v, rows, count);
	}
	v->next_summary_us = v->now.us + (v->call->json ? US_PER_SECOND : SUMMARY_US);
}

void recordview_show(struct recordview *v, struct recordview_row *rows, size_t count)
{
	char words[512];
	if (!v->live) {
		if (!v->call->quiet || v->call->json)
			tell_changes(v, rows, count);
		fflush(v->to);
		return;
	}
	if (v->lines > 0)
		fprintf(v->to, "\x1b[%uA", v->lines);
	if (v->table) {
		draw_table(v, rows, count);
	} else {
		recordview_words(v, &rows[0].view, words, sizeof(words));
		unsigned columns = term_columns(v->to);
		fprintf(v->to, "\r%s: %.*s\x1b[K\n", rows[0].stream,
			(int)(columns > strlen(rows[0].stream) + 3
					? columns - strlen(rows[0].stream) - 3
					: 1),
			words);
		v->lines = 1;
	}
	fputs("\x1b[J", v->to);
	fflush(v->to);
}

void recordview_end(struct recordview *v)
{
	if (v->live && v->lines > 0)
		fprintf(v->to, "\x1b[%uA\x1b[J", v->lines);
	v->lines = 0;
	fflush(v->to);
}
