/* SPDX-License-Identifier: Apache-2.0 */
/* Reading init segments. */
#include <string.h>

#include "base/errors.h"
#include "proto/bmff.h"

#define TIMESCALE_MAX     1000000u
#define ENTRY_HEADER      16u /* of any sample entry: box header, reserved bytes, data reference */
#define VISUAL_ENTRY_SIZE 86u /* up to the boxes inside */
#define AUDIO_ENTRY_SIZE  36u

/* The boxes of a track that were seen; each must come once. */
enum seen { SEEN_TKHD = 1, SEEN_MDHD = 2, SEEN_HDLR = 4, SEEN_STSD = 8, SEEN_ALL = 15 };

struct reading {
	struct bmff_init init;
	unsigned seen;                          /* of the track at hand */
	unsigned trex_seen;                     /* a bit a track */
	struct bytes trex[FRAGMENT_TRACKS_MAX]; /* mvex may come before the tracks */
	uint8_t trex_count;
};

static int see(struct reading *r, unsigned box)
{
	if (r->seen & box)
		return ERR_FORMAT;
	r->seen |= box;
	return 0;
}

/* Steps over creation and modification time, whose width depends on the version. */
static void skip_times(struct bytes *b, uint8_t version)
{
	bytes_skip(b, version == 1 ? 16 : 8);
}

static int read_tkhd(struct bmff_track *t, struct bytes b)
{
	uint8_t version = bytes_get_u8(&b);
	bytes_skip(&b, 3);
	skip_times(&b, version);
	t->id = bytes_get_u32(&b);
	return b.error;
}

static int read_mdhd(struct bmff_track *t, struct bytes b)
{
	uint8_t version = bytes_get_u8(&b);
	bytes_skip(&b, 3);
	skip_times(&b, version);
	t->timescale = bytes_get_u32(&b);
	if (!b.error && (t->timescale == 0 || t->timescale > TIMESCALE_MAX))
		bytes_fail(&b, ERR_FORMAT);
	return b.error;
}

static int read_hdlr(struct bmff_track *t, struct bytes b)
{
	bytes_skip(&b, 8);
	switch (bytes_get_u32(&b)) {
	case BMFF_FOURCC('v', 'i', 'd', 'e'):
		t->media = BMFF_VIDEO;
		return b.error;
	case BMFF_FOURCC('s', 'o', 'u', 'n'):
		t->media = BMFF_AUDIO;
		return b.error;
	case BMFF_FOURCC('m', 'e', 't', 'a'):
	case BMFF_FOURCC('t', 'e', 'x', 't'):
	case BMFF_FOURCC('s', 'b', 't', 'l'):
	case BMFF_FOURCC('s', 'u', 'b', 't'):
		t->media = BMFF_METADATA;
		return b.error;
	default:
		return b.error ? b.error : ERR_FORMAT;
	}
}

/* --- sample entries --- */

/* A descriptor's tag and length; a cursor over its payload. */
static int next_descriptor(struct bytes *b, uint8_t *ret_tag, struct bytes *ret_payload)
{
	uint8_t tag = bytes_get_u8(b), byte = 0x80;
	uint32_t len = 0;
	for (int i = 0; i < 4 && byte & 0x80; i++) {
		byte = bytes_get_u8(b);
		len = len << 7 | (byte & 0x7f);
	}
	const uint8_t *payload = bytes_get_view(b, len);
	if (b->error)
		return b->error;
	*ret_tag = tag;
	*ret_payload = bytes_reader(payload, len);
	return 0;
}

/* Finds the AudioSpecificConfig; BMFF_OTHER when the elementary stream is not AAC. */
static int read_esds(struct bmff_track *t, struct bytes b)
{
	enum { ES = 3, DECODER_CONFIG = 4, DECODER_SPECIFIC = 5, OBJECT_AAC = 0x40 };
	struct bytes es, decoder, specific;
	uint8_t tag = 0;
	bytes_skip(&b, 4);
	if (next_descriptor(&b, &tag, &es) < 0 || tag != ES)
		return ERR_FORMAT;
	bytes_skip(&es, 2);
	uint8_t flags = bytes_get_u8(&es);
	bytes_skip(&es, flags & 0x80 ? 2 : 0);
	bytes_skip(&es, flags & 0x40 ? bytes_get_u8(&es) : 0);
	bytes_skip(&es, flags & 0x20 ? 2 : 0);
	if (next_descriptor(&es, &tag, &decoder) < 0 || tag != DECODER_CONFIG)
		return ERR_FORMAT;
	if (bytes_get_u8(&decoder) != OBJECT_AAC)
		return 0;
	bytes_skip(&decoder, 12);
	if (next_descriptor(&decoder, &tag, &specific) < 0 || tag != DECODER_SPECIFIC ||
		specific.len == 0)
		return ERR_FORMAT;
	t->codec = BMFF_AAC;
	t->config = specific.in;
	t->config_len = specific.len;
	return 0;
}

/* The payload of the first box of a type among an entry's boxes. Some writers end an entry with a
 * 32-bit zero, which is no box. */
static int find_config(struct bytes boxes, uint32_t type, struct bytes *ret_payload)
{
	struct bmff_box box;
	while (bytes_left(&boxes) >= 8 && bmff_box_next(&boxes, &box, ret_payload) == 1)
		if (box.type == type)
			return 0;
	return ERR_FORMAT;
}

static int read_visual_entry(struct bmff_track *t, uint32_t type, struct bytes b)
{
	bytes_skip(&b, 16);
	t->width = bytes_get_u16(&b);
	t->height = bytes_get_u16(&b);
	bytes_skip(&b, VISUAL_ENTRY_SIZE - ENTRY_HEADER - 20);
	if (b.error)
		return ERR_FORMAT;
	uint32_t config_type;
	switch (type) {
	case BMFF_FOURCC('a', 'v', 'c', '1'):
	case BMFF_FOURCC('a', 'v', 'c', '3'):
		t->codec = BMFF_H264;
		config_type = BMFF_FOURCC('a', 'v', 'c', 'C');
		break;
	case BMFF_FOURCC('h', 'v', 'c', '1'):
	case BMFF_FOURCC('h', 'e', 'v', '1'):
		t->codec = BMFF_H265;
		config_type = BMFF_FOURCC('h', 'v', 'c', 'C');
		break;
	case BMFF_FOURCC('j', 'p', 'e', 'g'):
	case BMFF_FOURCC('m', 'j', 'p', 'g'):
		t->codec = BMFF_MJPEG;
		return 0;
	default:
		return 0;
	}
	struct bytes boxes = bytes_reader(b.in + b.at, bytes_left(&b)), config;
	if (find_config(boxes, config_type, &config) < 0)
		return ERR_FORMAT;
	t->config = config.in;
	t->config_len = config.len;
	return 0;
}

static int read_audio_entry(struct bmff_track *t, uint32_t type, struct bytes b)
{
	uint16_t version = bytes_get_u16(&b);
	bytes_skip(&b, 6);
	t->channels = bytes_get_u16(&b);
	t->sample_bits = bytes_get_u16(&b);
	bytes_skip(&b, 4);
	t->sample_rate = bytes_get_u32(&b) >> 16;
	if (b.error)
		return ERR_FORMAT;
	struct bytes boxes = bytes_reader(b.in + b.at, bytes_left(&b)), esds;
	switch (type) {
	case BMFF_FOURCC('a', 'l', 'a', 'w'):
		t->codec = BMFF_PCMA;
		return 0;
	case BMFF_FOURCC('u', 'l', 'a', 'w'):
		t->codec = BMFF_PCMU;
		return 0;
	case BMFF_FOURCC('m', 'p', '4', 'a'):
		/* QuickTime's versions lay the entry out otherwise: it is kept, not understood */
		if (version != 0)
			return 0;
		if (find_config(boxes, BMFF_FOURCC('e', 's', 'd', 's'), &esds) < 0)
			return ERR_FORMAT;
		return read_esds(t, esds);
	default:
		return 0;
	}
}

static int read_metadata_entry(struct bmff_track *t, uint32_t type, struct bytes b)
{
	if (type != BMFF_FOURCC('m', 'e', 't', 't'))
		return 0;
	while (bytes_get_u8(
		&b)) /* content encoding; ends by an error at the latest, for errors read as zero */
		;
	size_t left = bytes_left(&b);
	const uint8_t *mime = left ? b.in + b.at : NULL;
	const uint8_t *end = mime ? memchr(mime, 0, left) : NULL;
	if (!end || end == mime)
		return ERR_FORMAT;
	t->codec = BMFF_TEXT_METADATA;
	t->config = mime;
	t->config_len = (size_t)(end - mime);
	return 0;
}

static int read_stsd(struct bmff_track *t, struct bytes b)
{
	bytes_skip(&b, 4);
	uint32_t count = bytes_get_u32(&b);
	size_t start = b.at;
	struct bmff_box box;
	struct bytes entry;
	/* fragments name no description of their own, so there must be one only */
	if (b.error || count != 1 || bmff_box_next(&b, &box, &entry) != 1 || bytes_left(&b) != 0)
		return ERR_FORMAT;
	t->codec = BMFF_OTHER;
	t->entry = b.in + start;
	t->entry_len = b.at - start;
	bytes_skip(&entry, ENTRY_HEADER - 8);
	if (entry.error || box.header != 8)
		return ERR_FORMAT;
	switch (t->media) {
	case BMFF_VIDEO:
		return read_visual_entry(t, box.type, entry);
	case BMFF_AUDIO:
		return read_audio_entry(t, box.type, entry);
	case BMFF_METADATA:
		return read_metadata_entry(t, box.type, entry);
	}
	return ERR_FORMAT;
}

/* --- the tree --- */

static int read_stbl(struct reading *r, struct bmff_track *t, struct bytes stbl)
{
	struct bmff_box box;
	struct bytes b;
	int rc;
	while ((rc = bmff_box_next(&stbl, &box, &b)) == 1) {
		if (box.type == BMFF_FOURCC('s', 't', 's', 'd')) {
			rc = see(r, SEEN_STSD);
			if (rc == 0)
				rc = read_stsd(t, b);
		} else if (box.type == BMFF_FOURCC('s', 't', 's', 'z') ||
			   box.type == BMFF_FOURCC('s', 't', 't', 's')) {
			/* a count of zero: samples are in fragments alone */
			bytes_skip(&b, box.type == BMFF_FOURCC('s', 't', 's', 'z') ? 8 : 4);
			rc = bytes_get_u32(&b) || b.error ? ERR_FORMAT : 0;
		} else {
			rc = 0;
		}
		if (rc < 0)
			return rc;
	}
	return rc;
}

static int read_minf(struct reading *r, struct bmff_track *t, struct bytes minf)
{
	struct bmff_box box;
	struct bytes b;
	int rc;
	while ((rc = bmff_box_next(&minf, &box, &b)) == 1)
		if (box.type == BMFF_FOURCC('s', 't', 'b', 'l') && (rc = read_stbl(r, t, b)) < 0)
			return rc;
	return rc;
}

static int read_mdia(struct reading *r, struct bmff_track *t, struct bytes mdia)
{
	struct bmff_box box;
	struct bytes b, minf = {0};
	int rc;
	while ((rc = bmff_box_next(&mdia, &box, &b)) == 1) {
		rc = 0;
		if (box.type == BMFF_FOURCC('m', 'd', 'h', 'd')) {
			rc = see(r, SEEN_MDHD);
			if (rc == 0)
				rc = read_mdhd(t, b);
		} else if (box.type == BMFF_FOURCC('h', 'd', 'l', 'r')) {
			rc = see(r, SEEN_HDLR);
			if (rc == 0)
				rc = read_hdlr(t, b);
		} else if (box.type == BMFF_FOURCC('m', 'i', 'n', 'f')) {
			rc = minf.in ? ERR_FORMAT : 0;
			minf = b;
		}
		if (rc < 0)
			return rc;
	}
	/* the entry's layout depends on the handler, which may come after it */
	if (rc == 0)
		rc = minf.in && r->seen & SEEN_HDLR ? read_minf(r, t, minf) : ERR_FORMAT;
	return rc;
}

static int read_trak(struct reading *r, struct bytes trak)
{
	if (r->init.track_count == FRAGMENT_TRACKS_MAX)
		return ERR_LIMIT;
	struct bmff_track *t = &r->init.tracks[r->init.track_count++];
	struct bmff_box box;
	struct bytes b;
	int rc;
	r->seen = 0;
	while ((rc = bmff_box_next(&trak, &box, &b)) == 1) {
		rc = 0;
		if (box.type == BMFF_FOURCC('t', 'k', 'h', 'd')) {
			rc = see(r, SEEN_TKHD);
			if (rc == 0)
				rc = read_tkhd(t, b);
		} else if (box.type == BMFF_FOURCC('m', 'd', 'i', 'a')) {
			rc = read_mdia(r, t, b);
		} else if (box.type == BMFF_FOURCC('e', 'd', 't', 's')) {
			/* it would shift what the header says of presentation time */
			rc = ERR_FORMAT;
		}
		if (rc < 0)
			return rc;
	}
	if (rc == 0 && (r->seen != SEEN_ALL || t->id != r->init.track_count))
		rc = ERR_FORMAT;
	return rc;
}

static int read_mvex(struct reading *r, struct bytes mvex)
{
	struct bmff_box box;
	struct bytes b;
	int rc;
	while ((rc = bmff_box_next(&mvex, &box, &b)) == 1) {
		if (box.type != BMFF_FOURCC('t', 'r', 'e', 'x'))
			continue;
		if (r->trex_count == FRAGMENT_TRACKS_MAX)
			return ERR_LIMIT;
		r->trex[r->trex_count++] = b;
	}
	return rc;
}

static int apply_trex(struct reading *r, struct bytes b)
{
	bytes_skip(&b, 4);
	uint32_t id = bytes_get_u32(&b);
	bytes_skip(&b, 4);
	uint32_t duration = bytes_get_u32(&b), size = bytes_get_u32(&b), flags = bytes_get_u32(&b);
	if (b.error || id == 0 || id > r->init.track_count || r->trex_seen & 1u << id)
		return ERR_FORMAT;
	r->trex_seen |= 1u << id;
	struct bmff_track *t = &r->init.tracks[id - 1];
	t->default_duration = duration;
	t->default_size = size;
	t->default_flags = flags;
	return 0;
}

static int read_moov(struct reading *r, struct bytes moov)
{
	struct bmff_box box;
	struct bytes b;
	int rc;
	while ((rc = bmff_box_next(&moov, &box, &b)) == 1) {
		rc = 0;
		if (box.type == BMFF_FOURCC('t', 'r', 'a', 'k'))
			rc = read_trak(r, b);
		else if (box.type == BMFF_FOURCC('m', 'v', 'e', 'x'))
			rc = read_mvex(r, b);
		if (rc < 0)
			return rc;
	}
	for (size_t i = 0; rc == 0 && i < r->trex_count; i++)
		rc = apply_trex(r, r->trex[i]);
	if (rc == 0 && (r->init.track_count == 0 || r->trex_count != r->init.track_count))
		rc = ERR_FORMAT;
	return rc;
}

/* Takes the top box of type `type`. */
static int take_top(struct bytes *b, uint32_t type, struct bytes *ret_payload)
{
	struct bmff_box box;
	int rc = bmff_box_read(b, &box);
	if (rc < 0)
		return rc;
	if (box.type != type)
		return ERR_FORMAT;
	uint64_t len = box.size - box.header;
	if (len > FRAGMENT_INIT_MAX)
		return ERR_LIMIT;
	*ret_payload = bytes_reader(bytes_get_view(b, (size_t)len), (size_t)len);
	return b->error;
}

int bmff_init_parse(const void *data, size_t len, struct bmff_init *ret_init)
{
	if (len > FRAGMENT_INIT_MAX)
		return ERR_LIMIT;
	struct bytes top = bytes_reader(data, len), ftyp, moov;
	struct reading r = {0};
	int rc = take_top(&top, BMFF_FOURCC('f', 't', 'y', 'p'), &ftyp);
	if (rc == 0)
		rc = take_top(&top, BMFF_FOURCC('m', 'o', 'o', 'v'), &moov);
	if (rc == 0 && bytes_left(&top) != 0)
		rc = ERR_FORMAT;
	if (rc == 0)
		rc = read_moov(&r, moov);
	if (rc == ERR_TRUNCATED && bytes_left(&top) == 0 && !top.error)
		rc = ERR_FORMAT; /* a box inside is short, the segment is not */
	if (rc == 0)
		*ret_init = r.init;
	return rc;
}
