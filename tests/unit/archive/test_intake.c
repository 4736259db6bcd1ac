/* SPDX-License-Identifier: Apache-2.0 */
/* Fragments on their way into a chunk: no media is copied, and bodies of others are not touched. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/errors.h"
#include "storaged/archive/intake.h"
#include "tests/lib/alloc_fail.h"
#include "tests/lib/footage.h"

static struct buf *make(struct fragment_header *h)
{
	struct footage f;
	footage_start(&f, "gate-7/main", true);
	return footage_fragment(&f, h);
}

static uint64_t tfdt(const uint8_t *body, const struct fragment_header *h, unsigned i)
{
	struct bytes b = bytes_reader(body + h->tfdt_offset[i], 8);
	return bytes_get_u64(&b);
}

/* The piece's bytes one after the other, after the box. */
static void gather(const struct piece *p, uint8_t *to)
{
	size_t at = 0;
	for (unsigned i = 0; i < p->part_count; i++) {
		size_t skip = i ? 0 : CHUNK_FRAG_BOX;
		memcpy(to + at, p->parts[i].data + skip, p->parts[i].len - skip);
		at += p->parts[i].len - skip;
	}
	assert_int_equal(at, p->body_len);
}

static void take(bool shared)
{
	static uint8_t bytes[1 << 20];
	struct fragment_header h;
	struct buf *body = make(&h), *other = shared ? buf_ref(body) : NULL,
		   *copy = buf_copy(body->data, body->len);
	struct slice slice = {.buf = body, .data = body->data, .len = body->len};
	struct intake in;
	struct piece *p = NULL;
	assert_int_equal(intake_read(&in, &h, &slice), 0);
	assert_int_equal(in.run_count, 2);
	in.runs[0].decode_time = 4711;
	in.runs[1].decode_time = 815;
	assert_int_equal(piece_new(&h, &slice, &in, (struct wall){1}, GAP_NONE, &p), 0);
	assert_memory_equal(body->data, copy->data, copy->len); /* untouched before the commit */
	piece_commit(p);
	gather(p, bytes);
	assert_int_equal(tfdt(bytes, &h, 0), 4711);
	assert_int_equal(tfdt(bytes, &h, 1), 815);
	assert_int_equal(fragment_check_crc(&h, bytes), 0);
	/* media stays where it came: the last part lies in the body that was handed over */
	const struct slice *rest = &p->parts[p->part_count - 1];
	assert_ptr_equal(rest->buf, body);
	assert_ptr_equal(rest->data + rest->len, body->data + body->len);
	if (shared)
		assert_memory_equal(body->data, copy->data, copy->len);
	assert_int_equal(p->bytes, CHUNK_FRAG_BOX + h.body_len);
	piece_free(&p);
	piece_free(&p);
	intake_fini(&in);
	buf_unref(&other);
	buf_unref(&copy);
	slice_drop(&slice);
}

static void test_alone_in_place(void **state)
{
	(void)state;
	take(false);
}

static void test_shared_copies_the_moof(void **state)
{
	(void)state;
	take(true);
}

/* A body as frames bring it: what surrounds it in a chunk is put where it lies. */
static void test_room_around(void **state)
{
	(void)state;
	struct fragment_header h;
	struct buf *alone = make(&h), *around = buf_new(CHUNK_FRAG_BOX + alone->len + 100);
	memset(around->data, 0xee, around->len);
	memcpy(around->data + CHUNK_FRAG_BOX, alone->data, alone->len);
	struct slice slice = slice_of(around, CHUNK_FRAG_BOX, alone->len);
	struct intake in;
	struct piece *p = NULL;
	assert_int_equal(intake_read(&in, &h, &slice), 0);
	in.runs[0].decode_time = 4711;
	/* held by another: nothing of the buffer is written to */
	assert_int_equal(piece_new(&h, &slice, &in, (struct wall){1}, GAP_NONE, &p), 0);
	piece_commit(p);
	assert_null(piece_room_behind(p, 1));
	assert_int_equal(around->data[0], 0xee);
	assert_memory_equal(slice.data, alone->data, alone->len);
	piece_free(&p);
	buf_unref(&around);
	assert_int_equal(piece_new(&h, &slice, &in, (struct wall){1}, GAP_NONE, &p), 0);
	piece_commit(p);
	assert_ptr_equal(p->parts[0].data, slice.data - CHUNK_FRAG_BOX);
	assert_ptr_equal(p->parts[1].data, slice.data);
	assert_int_equal(tfdt(slice.data, &h, 0), 4711);
	assert_ptr_equal(piece_room_behind(p, 100), slice.data + slice.len);
	assert_null(piece_room_behind(p, 101));
	piece_free(&p);
	assert_int_equal(atomic_load(&slice.buf->refs), 1);
	intake_fini(&in);
	buf_unref(&alone);
	slice_drop(&slice);
}

static void test_many_samples(void **state)
{
	(void)state;
	static struct bmff_sample samples[5000];
	for (size_t i = 0; i < ARRAY_LEN(samples); i++)
		samples[i] = (struct bmff_sample){.size = 1, .duration = 1, .sync = true};
	struct buf *payload = buf_copy(samples, ARRAY_LEN(samples)), *body = NULL;
	struct slice part = slice_of(payload, 0, payload->len);
	const struct bmff_run run = {.track_id = 1,
		.sample_count = ARRAY_LEN(samples),
		.samples = samples,
		.payload = &part,
		.payload_count = 1};
	struct fragment_header h = {.session = 1, .seq = 1};
	assert_int_equal(bmff_fragment_build(&run, 1, &h, &body), 0);
	struct slice slice = {.buf = body, .data = body->data, .len = body->len};
	struct intake in;
	assert_int_equal(intake_read(&in, &h, &slice), 0);
	assert_int_equal(in.runs[0].sample_count, ARRAY_LEN(samples));
	intake_fini(&in);
	alloc_fail_after(0, ALLOC_FAIL_ONCE);
	assert_int_equal(intake_read(&in, &h, &slice), -ENOMEM);
	alloc_fail_stop();
	slice_drop(&slice);
	slice_drop(&part);
	buf_unref(&payload);
}

static void test_refused(void **state)
{
	(void)state;
	struct fragment_header h, wrong;
	struct buf *body = make(&h);
	struct slice slice = {.buf = body, .data = body->data, .len = body->len};
	struct intake in;
	wrong = h;
	wrong.body_len--;
	assert_int_equal(intake_read(&in, &wrong, &slice), ERR_FORMAT);
	wrong = h;
	wrong.tfdt_offset[0] += 4; /* would be rewritten in the wrong place */
	assert_true(intake_read(&in, &wrong, &slice) < 0);
	body->data[5] ^= 0xff;
	assert_true(intake_read(&in, &h, &slice) < 0);
	slice_drop(&slice);
}

static void piece_sweep(void *user)
{
	struct fragment_header h = *(struct fragment_header *)((void **)user)[0];
	struct slice *slice = ((void **)user)[1];
	struct intake *in = ((void **)user)[2];
	struct piece *p = NULL;
	int rc = piece_new(&h, slice, in, (struct wall){1}, GAP_NONE, &p);
	assert_true(rc == 0 || (rc == -ENOMEM && !p));
	piece_free(&p);
}

static void test_memory_short(void **state)
{
	(void)state;
	struct fragment_header h;
	struct buf *body = make(&h);
	struct slice slice = {.buf = body, .data = body->data, .len = body->len};
	struct intake in;
	assert_int_equal(intake_read(&in, &h, &slice), 0);
	void *user[3] = {&h, &slice, &in};
	alloc_fail_sweep(piece_sweep, user);
	assert_int_equal(atomic_load(&body->refs), 1);
	slice_drop(&slice);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alone_in_place),
		cmocka_unit_test(test_shared_copies_the_moof),
		cmocka_unit_test(test_room_around),
		cmocka_unit_test(test_many_samples),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_memory_short),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
