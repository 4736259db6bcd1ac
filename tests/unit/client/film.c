/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/client/film.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/check.h"

static char folder[] = "/tmp/steppe-film-XXXXXX";
static bool has_folder;

const char *film_folder(void)
{
	if (!has_folder)
		assert_non_null(mkdtemp(folder));
	has_folder = true;
	return folder;
}

void film_clean(void)
{
	char command[256];
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	if (has_folder && system(command) != 0)
		fail_msg("%s stays", folder);
	has_folder = false;
}

static void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

const char *film_make(const char *media, const char *args, const char *out)
{
	static char path[512];
	char command[4096];
	snprintf(path, sizeof(path), "%s/%s", film_folder(), out);
	snprintf(command, sizeof(command),
		"ffmpeg -nostdin -hide_banner -loglevel error -y -i %s/%s %s %s", MEDIA_DIR, media,
		args, path);
	run(command);
	return path;
}

/* --- reading --- */

static void add_track(struct film *f, const AVStream *stream)
{
	const AVCodecParameters *p = stream->codecpar;
	struct steppe_track *t = &f->tracks[f->track_count++];
	*t = (struct steppe_track)STEPPE_INIT(steppe_track);
	switch (p->codec_id) {
	case AV_CODEC_ID_H264:
		t->codec = STEPPE_H264;
		break;
	case AV_CODEC_ID_HEVC:
		t->codec = STEPPE_H265;
		break;
	case AV_CODEC_ID_AAC:
		t->codec = STEPPE_AAC;
		break;
	case AV_CODEC_ID_PCM_ALAW:
		t->codec = STEPPE_PCMA;
		break;
	default:
		fail_msg("codec %d", p->codec_id);
	}
	t->timescale = (uint32_t)stream->time_base.den;
	t->width = (uint16_t)p->width;
	t->height = (uint16_t)p->height;
	t->channels = (uint16_t)p->ch_layout.nb_channels;
	t->sample_rate = (uint32_t)p->sample_rate;
	if (p->extradata_size) {
		void *config = malloc((size_t)p->extradata_size);
		memcpy(config, p->extradata, (size_t)p->extradata_size);
		t->config = config;
		t->config_len = (size_t)p->extradata_size;
	}
}

static bool is_open_sync(const struct steppe_track *t, const AVPacket *packet)
{
	if (t->codec != STEPPE_H265 || packet->size < 6)
		return false;
	for (int at = 0; at + 5 < packet->size;) {
		uint32_t len = (uint32_t)packet->data[at] << 24 |
			       (uint32_t)packet->data[at + 1] << 16 |
			       (uint32_t)packet->data[at + 2] << 8 | packet->data[at + 3];
		if ((packet->data[at + 4] >> 1 & 0x3f) == 21) /* CRA */
			return true;
		at += 4 + (int)len;
	}
	return false;
}

void film_read(struct film *f, const char *path, int64_t start_us)
{
	*f = (struct film){0};
	AVFormatContext *in = NULL;
	AVDictionary *options = NULL;
	av_dict_set(&options, "ignore_editlist", "1", 0);
	assert_int_equal(avformat_open_input(&in, path, NULL, &options), 0);
	av_dict_free(&options);
	assert_true(avformat_find_stream_info(in, NULL) >= 0);
	for (unsigned i = 0; i < in->nb_streams; i++) {
		if (in->streams[i]->codecpar->codec_type == AVMEDIA_TYPE_VIDEO)
			f->video = i;
		add_track(f, in->streams[i]);
	}
	AVPacket *packet = av_packet_alloc();
	int64_t first_pts = 0;
	while (av_read_frame(in, packet) == 0) {
		if (f->count == f->room) {
			f->room = f->room ? 2 * f->room : 1024;
			f->samples = realloc(f->samples, f->room * sizeof(*f->samples));
		}
		unsigned track = (unsigned)packet->stream_index;
		struct steppe_sample *s = &f->samples[f->count++];
		*s = (struct steppe_sample)STEPPE_INIT(steppe_sample);
		void *data = malloc((size_t)packet->size);
		memcpy(data, packet->data, (size_t)packet->size);
		s->track = track;
		s->data = data;
		s->len = (size_t)packet->size;
		s->dts = packet->dts;
		s->pts = packet->pts;
		s->duration = packet->duration;
		s->sync = packet->flags & AV_PKT_FLAG_KEY;
		s->sync_open = s->sync && is_open_sync(&f->tracks[track], packet);
		s->clock = STEPPE_CLOCK_DECLARED;
		s->wall_us = -1;
		if (track == f->video) {
			if (f->count == 1)
				first_pts = s->pts;
			__int128 us = (__int128)(s->pts - first_pts) * 1000000;
			s->wall_us = start_us + (int64_t)(us / f->tracks[track].timescale);
		}
		av_packet_unref(packet);
	}
	av_packet_free(&packet);
	avformat_close_input(&in);
}

void film_free(struct film *f)
{
	for (size_t i = 0; i < f->count; i++)
		free((void *)f->samples[i].data);
	for (unsigned i = 0; i < f->track_count; i++)
		free((void *)f->tracks[i].config);
	free(f->samples);
	*f = (struct film){0};
}

/* --- chunks --- */

static void append(struct film_chunk *c, const void *bytes, size_t len)
{
	if (c->len + len > c->room) {
		c->room = 2 * (c->len + len);
		c->bytes = realloc(c->bytes, c->room);
	}
	memcpy(c->bytes + c->len, bytes, len);
	c->len += len;
}

static struct film_chunk *open_chunk(struct film_archive *a, struct item *item)
{
	struct film_chunk *c = a->count ? &a->chunks[a->count - 1] : NULL;
	bool full = c && (c->table.fragment_count >= a->chunk_fragments || !c->begun ||
				 c->init->len != item->init->len ||
				 memcmp(c->init->data, item->init->data, c->init->len) != 0);
	if (c && !full)
		return c;
	assert_true(a->count < FILM_CHUNKS_MAX);
	c = &a->chunks[a->count++];
	*c = (struct film_chunk){.epoch = a->epoch ? a->epoch : 1, .begun = true};
	snprintf(c->name, sizeof(c->name), "chk/film/main/%zu", a->count);
	c->init = buf_ref(item->init);
	struct bmff_init init;
	assert_int_equal(bmff_init_parse(c->init->data, c->init->len, &init), 0);
	chunk_table_init(&c->table, &init);
	append(c, c->init->data, c->init->len);
	c->zero_us = -1;
	return c;
}

/* Chunk ticks count from the chunk's first sample, the same instant for all tracks. */
static void rebase(struct film_chunk *c, struct bmff_run *runs, size_t count, uint8_t *body)
{
	if (c->zero_us < 0) {
		int64_t scale = c->table.tracks[runs[0].track_id - 1].timescale;
		for (unsigned t = 0; t < c->table.track_count; t++)
			c->shift[t] = (int64_t)((__int128)runs[0].decode_time *
						c->table.tracks[t].timescale / scale);
		for (size_t i = 1; i < count; i++) {
			/* the earliest of all tracks is zero */
			unsigned t = runs[i].track_id - 1;
			int64_t late = (int64_t)runs[i].decode_time - c->shift[t];
			if (late < 0)
				for (unsigned u = 0; u < c->table.track_count; u++)
					c->shift[u] += (int64_t)((__int128)late *
								 c->table.tracks[u].timescale /
								 c->table.tracks[t].timescale) -
						       1;
		}
		c->zero_us = 0;
	}
	for (size_t i = 0; i < count; i++) {
		int64_t at = (int64_t)runs[i].decode_time - c->shift[runs[i].track_id - 1];
		runs[i].decode_time = (uint64_t)(at > 0 ? at : 0);
		struct bytes b = bytes_writer(body + runs[i].tfdt_offset, 8);
		bytes_put_u64(&b, runs[i].decode_time);
	}
}

void film_store(struct film_archive *a, struct item *item)
{
	struct fragment_header *h = &item->header;
	h->session = a->session ? a->session : 7;
	h->seq = ++a->seq;
	assert_int_equal(fragment_seal(h, item->body->data, true), 0);
	struct film_chunk *c = open_chunk(a, item);
	static struct bmff_sample samples[16384];
	struct bmff_run runs[FRAGMENT_TRACKS_MAX];
	size_t count = 0;
	assert_int_equal(bmff_fragment_parse(item->body->data, item->body->len, h->body_len, runs,
				 &count, samples, ARRAY_LEN(samples)),
		0);
	rebase(c, runs, count, item->body->data);
	uint8_t box[CLIP_FRAG_BOX] = {0};
	struct bytes b = bytes_writer(box, sizeof(box));
	bytes_put_u32(&b, sizeof(box));
	bytes_put(&b, "uuid", 4);
	fragment_header_encode(h, box + CLIP_FRAG_HEADER);
	append(c, box, sizeof(box));
	assert_int_equal(chunk_table_add(&c->table, h, (uint32_t)c->len, runs, count), 0);
	append(c, item->body->data, item->body->len);
	/* padding, as at the end of a batch */
	if (a->seq % 3 == 0) {
		uint8_t padding[40] = {0, 0, 0, 40, 'f', 'r', 'e', 'e'};
		append(c, padding, sizeof(padding));
	}
	item_free(&item);
}

void film_store_made(struct film_archive *a, struct fragmenter *f)
{
	struct item *item;
	while ((item = fragmenter_take(f)))
		film_store(a, item);
}

void film_cut(struct film_archive *a)
{
	if (a->count)
		a->chunks[a->count - 1].begun = false;
}

void film_archive_free(struct film_archive *a)
{
	for (size_t i = 0; i < a->count; i++) {
		buf_unref(&a->chunks[i].init);
		chunk_table_fini(&a->chunks[i].table);
		free(a->chunks[i].bytes);
	}
	a->count = 0;
}

int film_layout(const struct film_archive *a, const struct clip_window *window,
	struct clip_layout *ret_layout)
{
	static struct clip_source sources[FILM_CHUNKS_MAX];
	for (size_t i = 0; i < a->count; i++)
		sources[i] = (struct clip_source){
			.name = a->chunks[i].name,
			.epoch = a->chunks[i].epoch,
			.init = a->chunks[i].init->data,
			.init_len = a->chunks[i].init->len,
			.table = &a->chunks[i].table,
		};
	return clip_layout_build(sources, a->count, window, ret_layout);
}

void film_write(const struct film_archive *a, const struct clip_layout *layout, const char *name)
{
	for (size_t i = 0; i < layout->file_count; i++) {
		const struct clip_file *file = &layout->files[i];
		char path[512];
		snprintf(path, sizeof(path), "%s/%s.%zu.mp4", film_folder(), name, i);
		FILE *out = fopen(path, "wb");
		assert_non_null(out);
		fwrite(file->head->data, 1, file->head->len, out);
		uint64_t at = 0;
		for (size_t j = 0; j < file->part_count; j++) {
			const struct clip_part *p = &file->parts[j];
			assert_int_equal(p->at, at);
			assert_true(p->offset + p->len <= a->chunks[p->source].len);
			fwrite(a->chunks[p->source].bytes + p->offset, 1, p->len, out);
			at += p->len;
		}
		assert_int_equal(at, file->media_bytes);
		assert_int_equal(fclose(out), 0);
	}
}

/* --- the judge --- */

struct film_rows film_judge(const char *path, char kind)
{
	char command[1024], line[512];
	snprintf(command, sizeof(command),
		"ffmpeg -nostdin -hide_banner -loglevel error -i %s -map 0:%c:0 -fps_mode "
		"passthrough -f framemd5 -",
		path, kind);
	FILE *in = popen(command, "r");
	assert_non_null(in);
	struct film_rows r = {0};
	size_t room = 0;
	int64_t num = 1, den = 1;
	while (fgets(line, sizeof(line), in)) {
		long long a, b, c, d, e;
		char md5[64];
		if (sscanf(line, "#tb %lld: %lld/%lld", &a, &b, &c) == 3) {
			num = b;
			den = c;
		}
		if (sscanf(line, "%lld, %lld, %lld, %lld, %lld, %33s", &a, &b, &c, &d, &e, md5) !=
			6)
			continue;
		if (r.count == room) {
			room = room ? 2 * room : 256;
			r.rows = realloc(r.rows, room * sizeof(*r.rows));
		}
		struct film_row *row = &r.rows[r.count++];
		row->pts_us = (int64_t)((__int128)c * num * 1000000 / den);
		row->duration_us = (int64_t)((__int128)d * num * 1000000 / den);
		memcpy(row->md5, md5, sizeof(row->md5));
	}
	if (pclose(in) != 0)
		fail_msg("ffmpeg cannot read %s", path);
	return r;
}
