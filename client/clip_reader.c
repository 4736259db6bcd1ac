/* SPDX-License-Identifier: Apache-2.0 */
#include "client/clip_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "proto/refusal.h"

#define READ_MAX    (UINT32_C(4) << 20) /* a READ may ask for */
#define PREFETCH    4                   /* blocks ahead */
#define PATIENCE_NS (60 * NS_PER_SECOND)

/* --- on the loop: one block's READs --- */

static void step_read(struct clip_block *b);

/* Every fragment of the block is what its header and the table say. */
static int check_block(const struct clip_block *b)
{
	const struct clip_reader *r = b->reader;
	const struct clip_file *file = &r->layout->files[b->file];
	for (size_t i = 0; i < b->part_count; i++) {
		const struct clip_part *part = &file->parts[b->first_part + i];
		const struct table_fragment *f =
			&r->snapshot->chunks[part->source].table.fragments[part->fragment];
		const uint8_t *box = b->bytes + (part->at - b->at);
		struct fragment_header h;
		uint8_t digest[DIGEST_SIZE];
		int rc = fragment_header_decode(box + CLIP_FRAG_HEADER, FRAGMENT_HEADER_SIZE, &h);
		if (rc < 0 || h.seq != f->seq || h.body_len != f->body_len)
			return ERR_DAMAGED;
		rc = fragment_digest(&h, digest);
		if (rc < 0)
			return rc;
		if (memcmp(digest, f->digest, sizeof(digest)) != 0 ||
			fragment_check_crc(&h, box + CLIP_FRAG_BOX) < 0)
			return ERR_DAMAGED;
	}
	return 0;
}

static void block_end(struct clip_block *b, int status)
{
	struct clip_reader *r = b->reader;
	pthread_mutex_lock(&r->lock);
	b->status = status;
	b->state = status == 0 ? BLOCK_READY : BLOCK_FAILED;
	if (status == ERR_REFUSED) {
		r->refused = b->request.refused;
		int code = r->refused.code;
		b->status = code == REFUSAL_SNAPSHOT || code == REFUSAL_GONE ? ERR_GONE
			    : code == REFUSAL_DAMAGED                        ? ERR_DAMAGED
									     : ERR_REFUSED;
	}
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

static int on_answer(struct request *request, const struct frame *frame)
{
	struct clip_block *b = container_of(request, struct clip_block, request);
	uint64_t wanted = b->read.length;
	if (frame->header.type != FRAME_READ_REPLY || frame->body.len != wanted)
		return ERR_FORMAT;
	memcpy(b->bytes + b->done, frame->body.data, wanted);
	b->done += (uint32_t)wanted;
	return 1;
}

static void on_done(struct request *request, int status)
{
	struct clip_block *b = container_of(request, struct clip_block, request);
	if (status == 0 && b->done < b->len)
		step_read(b);
	else
		block_end(b, status == 0 ? check_block(b) : status);
}

static void step_read(struct clip_block *b)
{
	struct clip_reader *r = b->reader;
	steppe__wire__read__init(&b->read);
	b->read.snapshot = (ProtobufCBinaryData){.len = r->id_len, .data = r->id};
	b->read.chunk = r->places[b->source];
	b->read.offset = b->offset + b->done;
	b->read.length = b->len - b->done < READ_MAX ? b->len - b->done : READ_MAX;
	b->request = (struct request){
		.type = FRAME_READ,
		.meta = &b->read.base,
		.camera = r->camera,
		.at = r->daemon,
		.patience_ns = PATIENCE_NS,
		.answer = on_answer,
		.done = on_done,
	};
	request_start(&r->core->router, &b->request);
}

static void on_start(struct loop_task *task)
{
	step_read(container_of(task, struct clip_block, start));
}

/* --- on the caller's thread: which blocks --- */

/* The part in which a byte lies. */
static size_t part_at(const struct clip_file *file, uint64_t at)
{
	size_t low = 0, high = file->part_count - 1;
	while (low < high) {
		size_t middle = low + (high - low + 1) / 2;
		if (file->parts[middle].at <= at)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

/* Blocks begin at fixed parts, so that the same bytes always lie in the same block. Gives its first
 * part; *ret_count parts. */
static size_t block_of(const struct clip_file *file, size_t part, size_t *ret_count)
{
	const struct clip_part *parts = file->parts;
	size_t first = part;
	/* back to where one must begin: a file's start, or another range of chunk bytes; far enough
	 * if that is far away */
	while (first > 0 && parts[first - 1].source == parts[first].source &&
		parts[first - 1].offset + parts[first - 1].len == parts[first].offset &&
		parts[first - 1].at / CLIP_BLOCK_BYTES == parts[part].at / CLIP_BLOCK_BYTES)
		first--;
	size_t end = first + 1;
	while (end < file->part_count && parts[end].source == parts[first].source &&
		parts[end - 1].offset + parts[end - 1].len == parts[end].offset &&
		parts[end].at / CLIP_BLOCK_BYTES == parts[first].at / CLIP_BLOCK_BYTES)
		end++;
	*ret_count = end - first;
	return first;
}

/* Under the lock: the block that has the part, or is getting it; a free one is set to work. NULL:
 * none is free. */
static struct clip_block *want(struct clip_reader *r, unsigned file_index, size_t part)
{
	const struct clip_file *file = &r->layout->files[file_index];
	size_t count, first = block_of(file, part, &count);
	struct clip_block *oldest = NULL;
	for (size_t i = 0; i < CLIP_BLOCKS; i++) {
		struct clip_block *b = &r->blocks[i];
		if (b->state != BLOCK_FREE && b->file == file_index && b->first_part == first)
			return b;
		if (b->state != BLOCK_READING && (!oldest || b->used < oldest->used))
			oldest = b;
	}
	if (!oldest)
		return NULL;
	struct clip_block *b = oldest;
	const struct clip_part *p = &file->parts[first], *last = &file->parts[first + count - 1];
	uint32_t len = (uint32_t)(last->at + last->len - p->at);
	free(b->bytes);
	*b = (struct clip_block){
		.reader = r,
		.file = file_index,
		.first_part = first,
		.part_count = count,
		.at = p->at,
		.offset = p->offset,
		.source = p->source,
		.len = len,
		.used = ++r->clock,
		.bytes = malloc(len),
	};
	if (!b->bytes) {
		b->state = BLOCK_FAILED;
		b->status = -ENOMEM;
		return b;
	}
	b->state = BLOCK_READING;
	b->start.run = on_start;
	loop_post(r->core->loop, &b->start);
	return b;
}

/* Under the lock: the blocks that follow, as far as there are free ones. */
static void prefetch(struct clip_reader *r, const struct clip_block *b)
{
	const struct clip_file *file = &r->layout->files[b->file];
	size_t next = b->first_part + b->part_count;
	for (unsigned i = 0; i < PREFETCH && next < file->part_count; i++) {
		const struct clip_block *ahead = want(r, b->file, next);
		if (!ahead)
			break;
		next = ahead->first_part + ahead->part_count;
	}
}

static int wait_for(
	struct clip_reader *r, unsigned file, size_t part, struct clip_block **ret_block)
{
	struct clip_block *b;
	while (!(b = want(r, file, part)) || b->state == BLOCK_READING)
		pthread_cond_wait(&r->changed, &r->lock);
	if (b->state == BLOCK_FAILED) {
		int status = b->status;
		b->state = BLOCK_FREE; /* the next try asks again */
		return status;
	}
	b->used = ++r->clock;
	*ret_block = b;
	return 0;
}

int clip_reader_read(struct clip_reader *r, unsigned file_index, uint64_t at, void *to, size_t len)
{
	const struct clip_file *file = &r->layout->files[file_index];
	int rc = 0;
	pthread_mutex_lock(&r->lock);
	while (rc == 0 && len > 0) {
		struct clip_block *b = NULL;
		rc = wait_for(r, file_index, part_at(file, at), &b);
		if (!b)
			break;
		size_t n = b->len - (size_t)(at - b->at);
		n = n < len ? n : len;
		memcpy(to, b->bytes + (at - b->at), n);
		prefetch(r, b);
		to = (char *)to + n;
		at += n;
		len -= n;
	}
	if (rc == ERR_REFUSED || rc == ERR_GONE)
		refused_remember(&r->refused);
	pthread_mutex_unlock(&r->lock);
	return rc;
}

/* --- life --- */

int clip_reader_init(struct clip_reader *r, struct core *core, const char *camera,
	const struct snapshot *snapshot, const struct clip_layout *layout)
{
	*r = (struct clip_reader){
		.core = core, .camera = camera, .snapshot = snapshot, .layout = layout};
	r->places = calloc(snapshot->chunk_count, sizeof(*r->places));
	if (!r->places)
		return -ENOMEM;
	for (uint32_t i = 0; i < snapshot->chunk_count; i++)
		r->places[i] = i;
	memcpy(r->id, snapshot->id, snapshot->id_len);
	r->id_len = snapshot->id_len;
	strcpy(r->daemon, snapshot->daemon);
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->changed, NULL);
	return 0;
}

/* Under the lock. */
static void wait_idle(struct clip_reader *r)
{
	for (size_t i = 0; i < CLIP_BLOCKS; i++)
		while (r->blocks[i].state == BLOCK_READING)
			pthread_cond_wait(&r->changed, &r->lock);
}

void clip_reader_fini(struct clip_reader *r)
{
	if (!r->places)
		return;
	pthread_mutex_lock(&r->lock);
	wait_idle(r);
	pthread_mutex_unlock(&r->lock);
	for (size_t i = 0; i < CLIP_BLOCKS; i++)
		free(r->blocks[i].bytes);
	free(r->places);
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->lock);
	*r = (struct clip_reader){0};
}

static bool has_all(
	const struct clip_reader *r, uint32_t source, const struct snapshot_chunk *other)
{
	for (size_t f = 0; f < r->layout->file_count; f++) {
		const struct clip_file *file = &r->layout->files[f];
		for (size_t i = 0; i < file->part_count; i++)
			if (file->parts[i].source == source &&
				!snapshot_same_fragment(&r->snapshot->chunks[source],
					file->parts[i].fragment, other))
				return false;
	}
	return true;
}

int clip_reader_move(struct clip_reader *r, const struct snapshot *snapshot)
{
	uint32_t *places = calloc(r->snapshot->chunk_count, sizeof(*places));
	if (!places)
		return -ENOMEM;
	int rc = 0;
	pthread_mutex_lock(&r->lock);
	wait_idle(r);
	for (uint32_t i = 0; rc == 0 && i < r->snapshot->chunk_count; i++) {
		size_t at = 0;
		while (at < snapshot->chunk_count &&
			strcmp(snapshot->chunks[at].name, r->snapshot->chunks[i].name) != 0)
			at++;
		if (at < snapshot->chunk_count && has_all(r, i, &snapshot->chunks[at]))
			places[i] = (uint32_t)at;
		else if (has_all(r, i, &(struct snapshot_chunk){0}))
			places[i] = 0; /* not used */
		else
			rc = ERR_GONE;
	}
	if (rc == 0) {
		memcpy(r->places, places, r->snapshot->chunk_count * sizeof(*places));
		memcpy(r->id, snapshot->id, snapshot->id_len);
		r->id_len = snapshot->id_len;
		strcpy(r->daemon, snapshot->daemon);
		for (size_t i = 0; i < CLIP_BLOCKS; i++)
			if (r->blocks[i].state == BLOCK_FAILED)
				r->blocks[i].state = BLOCK_FREE;
	}
	pthread_mutex_unlock(&r->lock);
	free(places);
	return rc;
}
