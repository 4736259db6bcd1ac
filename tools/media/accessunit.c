/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/media/accessunit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "tools/media/h264.h"
#include "tools/media/h265.h"

#define SAMPLE_MAX (4u << 20) /* a fragment's limit; larger samples are refused by name */

void accessunit_init(struct accessunit *a, enum steppe_codec codec)
{
	*a = (struct accessunit){.length_size = 0};
	paramsets_init(&a->sets, codec);
}

void accessunit_fini(struct accessunit *a)
{
	paramsets_fini(&a->sets);
	free(a->out);
	a->out = NULL;
	a->out_room = 0;
}

int accessunit_configure(struct accessunit *a, const void *config, size_t len)
{
	return len == 0 ? 0 : paramsets_load(&a->sets, config, len, &a->length_size);
}

/* What an access unit's NAL units say together. */
struct picture {
	bool irap, open;     /* decoding can start here by the codec's own word; with what follows
				referring back */
	bool recovery, sets; /* H.264: a recovery point was announced; parameter sets are here */
	bool slices, all_intra;
};

static void look_h264(struct picture *p, const struct nal *nal)
{
	struct h264_slice slice;
	switch (h264_nal_type(nal)) {
	case H264_IDR:
		p->irap = true;
		p->slices = true;
		break;
	case H264_SEI:
		p->recovery = p->recovery || h264_has_recovery_point(nal);
		break;
	case H264_SLICE:
	case 2: /* data partition A, of extended profile */
		p->slices = true;
		if (h264_slice_parse(nal, &slice) || !slice.intra)
			p->all_intra = false;
		break;
	default:
		break;
	}
}

static void look_h265(struct picture *p, const struct nal *nal)
{
	unsigned type = h265_nal_type(nal);
	if (type > H265_VCL_LAST)
		return;
	p->slices = true;
	if (type >= H265_BLA_W_LP && type <= H265_IRAP_LAST) {
		p->irap = true;
		p->open = type == H265_CRA || type == H265_BLA_W_LP;
	}
}

static struct nal_scan scan_of(const struct accessunit *a, const void *data, size_t len)
{
	return a->length_size ? nal_scan_prefixed(data, len, a->length_size)
			      : nal_scan_annexb(data, len);
}

static bool is_filler(enum steppe_codec codec, const struct nal *nal)
{
	return codec == STEPPE_H264 ? h264_nal_type(nal) == H264_FILLER
				    : h265_nal_type(nal) == H265_FILLER;
}

/* An I picture behind a recovery point, or right behind parameter sets (cameras that never send
 * another IDR), is a place to start; pictures after it may still refer to what was before. */
static void judge(const struct accessunit *a, const struct picture *p, struct accessunit_result *r)
{
	bool intra = p->slices && p->all_intra && !p->irap;
	bool h264_start =
		a->sets.codec == STEPPE_H264 && p->slices && (p->recovery || (intra && p->sets));
	r->sync = p->irap || h264_start;
	r->sync_open = p->irap ? p->open : h264_start;
}

/* First pass: what the unit is, and how long its sample may become. */
static size_t look(
	const struct accessunit *a, struct nal_scan scan, struct picture *p, bool *ret_changes)
{
	struct nal nal;
	size_t room = 0;
	*p = (struct picture){.all_intra = true};
	*ret_changes = a->pending;
	while (nal_next(&scan, &nal)) {
		room += 4 + nal.len;
		if (paramsets_is_set(a->sets.codec, &nal)) {
			p->sets = true;
			*ret_changes = *ret_changes || paramsets_would_change(&a->sets, &nal);
		} else if (a->sets.codec == STEPPE_H264) {
			look_h264(p, &nal);
		} else {
			look_h265(p, &nal);
		}
	}
	return room;
}

static int reserve(struct accessunit *a, size_t room)
{
	if (room > SAMPLE_MAX)
		return ERR_LIMIT;
	if (room <= a->out_room)
		return 0;
	size_t wanted = room + room / 2;
	uint8_t *grown = realloc(a->out, wanted);
	if (!grown)
		return -ENOMEM;
	a->out = grown;
	a->out_room = wanted;
	return 0;
}

static size_t put_nal(uint8_t *to, const struct nal *nal)
{
	to[0] = (uint8_t)(nal->len >> 24);
	to[1] = (uint8_t)(nal->len >> 16);
	to[2] = (uint8_t)(nal->len >> 8);
	to[3] = (uint8_t)nal->len;
	memcpy(to + 4, nal->data, nal->len);
	return 4 + nal->len;
}

int accessunit_convert(
	struct accessunit *a, const void *data, size_t len, struct accessunit_result *ret_result)
{
	struct nal_scan scan = scan_of(a, data, len);
	struct picture picture;
	struct accessunit_result r = {0};
	bool changes;
	int error = reserve(a, look(a, scan, &picture, &changes));
	if (error)
		return error;
	judge(a, &picture, &r);
	/* A change where decoding cannot start stays among the pictures until one where it can. */
	bool keep_sets = changes && picture.slices && !r.sync;
	struct nal nal;
	while (nal_next(&scan, &nal)) {
		bool set = paramsets_is_set(a->sets.codec, &nal);
		if (set && paramsets_put(&a->sets, &nal) == -ENOMEM)
			return -ENOMEM;
		if ((set && !keep_sets) || is_filler(a->sets.codec, &nal))
			continue;
		r.len += put_nal(a->out + r.len, &nal);
	}
	r.damaged = scan.damaged;
	r.config_changed = changes && r.sync;
	a->pending = changes && !r.sync;
	if (!picture.slices)
		r.len = 0;
	r.data = a->out;
	*ret_result = r;
	return 0;
}

bool accessunit_continues(const struct accessunit *a, const void *data, size_t len)
{
	struct nal_scan scan = scan_of(a, data, len);
	struct nal nal;
	struct h264_slice slice;
	if (!nal_next(&scan, &nal))
		return false;
	if (a->sets.codec == STEPPE_H264) {
		unsigned type = h264_nal_type(&nal);
		return (type == H264_SLICE || type == H264_IDR) &&
		       h264_slice_parse(&nal, &slice) == 0 && !slice.first;
	}
	return h265_nal_type(&nal) <= H265_VCL_LAST && !h265_slice_is_first(&nal);
}
