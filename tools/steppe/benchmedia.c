/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/steppe/benchmedia.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

#define NOISE_BYTES (4u << 20)
#define MACROBLOCKS (BENCHMEDIA_SIDE / 16 * (BENCHMEDIA_SIDE / 16))
#define SEI_UUID    16
#define REPEAT_MAX  16 /* bytes of a repeating picture's slice, at most */

/* --- bits --- */

struct writer {
	uint8_t *out;
	size_t at;
	unsigned bit; /* bits of out[at] already written */
};

static void put_bits(struct writer *w, uint32_t v, unsigned n)
{
	while (n-- > 0) {
		if (w->bit == 0)
			w->out[w->at] = 0;
		w->out[w->at] |= (uint8_t)((v >> n & 1) << (7 - w->bit));
		if (++w->bit == 8) {
			w->bit = 0;
			w->at++;
		}
	}
}

static void put_ue(struct writer *w, uint32_t v)
{
	unsigned bits = 0;
	for (uint32_t x = v + 1; x > 1; x >>= 1)
		bits++;
	put_bits(w, 0, bits);
	put_bits(w, v + 1, bits + 1);
}

static void put_stop(struct writer *w)
{
	put_bits(w, 1, 1);
	if (w->bit)
		put_bits(w, 0, 8 - w->bit);
}

static void put_length(uint8_t *to, size_t len)
{
	to[0] = (uint8_t)(len >> 24);
	to[1] = (uint8_t)(len >> 16);
	to[2] = (uint8_t)(len >> 8);
	to[3] = (uint8_t)len;
}

/* --- the stream --- */

static size_t put_sps(uint8_t *to)
{
	struct writer w = {.out = to};
	put_bits(&w, 0x67, 8);
	put_bits(&w, 66, 8); /* baseline */
	put_bits(&w, 0xc0, 8);
	put_bits(&w, 40, 8); /* level 4: room for the bits of any camera */
	put_ue(&w, 0);
	put_ue(&w, 4); /* frame numbers of 8 bits */
	put_ue(&w, 2); /* shown in the order of decoding */
	put_ue(&w, 1); /* one reference picture */
	put_bits(&w, 0, 1);
	put_ue(&w, BENCHMEDIA_SIDE / 16 - 1);
	put_ue(&w, BENCHMEDIA_SIDE / 16 - 1);
	put_bits(&w, 1, 1); /* frames */
	put_bits(&w, 1, 1);
	put_bits(&w, 0, 2); /* no cropping, no VUI */
	put_stop(&w);
	return w.at;
}

static size_t put_pps(uint8_t *to)
{
	struct writer w = {.out = to};
	put_bits(&w, 0x68, 8);
	put_ue(&w, 0);
	put_ue(&w, 0);
	put_bits(&w, 0, 2); /* CAVLC */
	put_ue(&w, 0);
	put_ue(&w, 0);
	put_ue(&w, 0);
	put_bits(&w, 0, 3);
	put_ue(&w, 0);
	put_ue(&w, 0);
	put_ue(&w, 0);
	put_bits(&w, 0, 3);
	put_stop(&w);
	return w.at;
}

static void put_config(struct benchmedia *m)
{
	uint8_t *p = m->config;
	const uint8_t head[] = {1, 66, 0xc0, 40, 0xff, 0xe1};
	memcpy(p, head, sizeof(head));
	size_t sps = put_sps(p + 8);
	p[6] = 0;
	p[7] = (uint8_t)sps;
	p += 8 + sps;
	*p++ = 1;
	size_t pps = put_pps(p + 2);
	p[0] = 0;
	p[1] = (uint8_t)pps;
	m->config_len = (size_t)(p + 2 + pps - m->config);
}

/* A whole picture of raw samples. They are taken from the noise, which emulates nothing. */
static size_t put_key(const struct benchmedia *m, uint8_t *to)
{
	struct writer w = {.out = to + 4};
	put_bits(&w, 0x65, 8);
	put_ue(&w, 0);
	put_ue(&w, 7); /* I */
	put_ue(&w, 0);
	put_bits(&w, 0, 8); /* frame_num */
	put_ue(&w, 0);      /* idr_pic_id */
	put_bits(&w, 0, 2); /* reference marking */
	put_ue(&w, 0);      /* slice_qp_delta as se(0) */
	for (unsigned mb = 0; mb < MACROBLOCKS; mb++) {
		put_ue(&w, 25); /* I_PCM */
		if (w.bit)
			put_bits(&w, 0, 8 - w.bit);
		memcpy(w.out + w.at, m->noise + mb * 384, 384);
		w.at += 384;
	}
	put_stop(&w);
	put_length(to, w.at);
	return w.at + 4;
}

/* The picture before, once more. */
static size_t put_repeat(uint8_t *to, unsigned frame_num)
{
	struct writer w = {.out = to + 4};
	put_bits(&w, 0x41, 8);
	put_ue(&w, 0);
	put_ue(&w, 5); /* P */
	put_ue(&w, 0);
	put_bits(&w, frame_num & 255, 8);
	put_bits(&w, 0, 1); /* num_ref_idx_active_override_flag */
	put_bits(&w, 0, 1); /* ref_pic_list_modification_flag */
	put_bits(&w, 0, 1); /* adaptive_ref_pic_marking_mode_flag */
	put_ue(&w, 0);
	put_ue(&w, MACROBLOCKS); /* all skipped */
	put_stop(&w);
	put_length(to, w.at);
	return w.at + 4;
}

/* --- life --- */

int benchmedia_init(struct benchmedia *m, uint64_t seed)
{
	*m = (struct benchmedia){.noise_len = NOISE_BYTES};
	m->noise = malloc(NOISE_BYTES);
	m->key = malloc(MACROBLOCKS * 400 + 64);
	if (!m->noise || !m->key) {
		benchmedia_fini(m);
		return -ENOMEM;
	}
	for (uint64_t i = 0; i < NOISE_BYTES / 8; i++) {
		uint64_t v = hash64(seed, &i, sizeof(i));
		memcpy(m->noise + i * 8, &v, 8);
	}
	/* no byte below 4: nothing that could be taken for a start code or for its prevention */
	for (size_t i = 0; i < NOISE_BYTES; i++)
		m->noise[i] |= m->noise[i] < 4 ? 4 : 0;
	put_config(m);
	m->key_len = put_key(m, m->key);
	return 0;
}

void benchmedia_fini(struct benchmedia *m)
{
	free(m->noise);
	free(m->key);
	for (unsigned i = 0; i < BENCHMEDIA_KEPT; i++) {
		free(m->kept[0][i].bytes);
		free(m->kept[1][i].bytes);
	}
	*m = (struct benchmedia){0};
}

struct steppe_track benchmedia_track(const struct benchmedia *m)
{
	struct steppe_track t = STEPPE_INIT(steppe_track);
	t.codec = STEPPE_H264;
	t.timescale = 90000;
	t.width = t.height = BENCHMEDIA_SIDE;
	t.config = m->config;
	t.config_len = m->config_len;
	return t;
}

/* A SEI unit of user data with `len` random bytes; returns its length with prefix. */
static size_t put_noise(const struct benchmedia *m, uint8_t *to, size_t len)
{
	size_t at = 4;
	to[at++] = 0x06;
	to[at++] = 5; /* user_data_unregistered */
	size_t size = len;
	for (; size >= 255; size -= 255)
		to[at++] = 255;
	to[at++] = (uint8_t)size;
	/* from another place each time, so that nothing below finds the same block at once again */
	size_t offset = (size_t)(hash64(len, m->next, sizeof(m->next)) % (m->noise_len - 4096));
	for (size_t done = 0; done < len;) {
		size_t n = m->noise_len - offset < len - done ? m->noise_len - offset : len - done;
		memcpy(to + at + done, m->noise + offset, n);
		done += n;
		offset = 0;
	}
	at += len;
	to[at++] = 0x80;
	put_length(to, at - 4);
	return at;
}

static bool make_picture(
	const struct benchmedia *m, struct benchmedia_picture *p, bool key, size_t size)
{
	size_t picture = key ? m->key_len : REPEAT_MAX;
	uint8_t *bytes = realloc(p->bytes, size + size / 200 + picture + 128);
	if (!bytes)
		return false;
	*p = (struct benchmedia_picture){.bytes = bytes, .size = size};
	if (size > picture + SEI_UUID + 16)
		p->slice = put_noise(m, bytes, size - picture - (size - picture) / 256 - 8);
	if (key)
		memcpy(bytes + p->slice, m->key, m->key_len);
	return true;
}

const uint8_t *benchmedia_frame(struct benchmedia *m, bool key, size_t size, size_t *ret_len)
{
	struct benchmedia_picture *p = &m->kept[key][m->next[key] % BENCHMEDIA_KEPT];
	if (p->size != size && !make_picture(m, p, key, size))
		return NULL;
	m->next[key]++;
	m->frame_num = key ? 0 : m->frame_num + 1;
	*ret_len = p->slice + (key ? m->key_len : put_repeat(p->bytes + p->slice, m->frame_num));
	return p->bytes;
}
