/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/chunk.h"

#include <string.h>

#include "base/errors.h"
#include "storaged/archive/chunk_boxes.h"

/* How reading goes on after damage: by the size of a box when its checksum vouches for it, else by
 * searching for the next steppe-frag or steppe-seal box whose checksum holds. Sizes of other boxes
 * are not believed: a damaged one could hop over good fragments, and a `free` box is believed only
 * when all of it is zero. */

struct place {
	const uint8_t *data;
	size_t left;
};

static bool is_padding(struct place p, uint64_t *ret_size)
{
	struct bytes b = bytes_reader(p.data, p.left);
	struct bmff_box box;
	if (bmff_box_read(&b, &box) < 0 || box.type != BMFF_FOURCC('f', 'r', 'e', 'e') ||
		box.header != 8 || box.size < 8 || box.size > p.left)
		return false;
	const uint8_t *payload = p.data + 8;
	size_t len = (size_t)box.size - 8;
	if (len && (payload[0] != 0 || memcmp(payload, payload + 1, len - 1) != 0))
		return false;
	*ret_size = box.size;
	return true;
}

/* The seal at the place: 0 and its box's size; ERR_TRUNCATED when it is cut. */
static int seal_at(struct place p, uint64_t *ret_size)
{
	struct chunk_seal seal;
	struct bytes b = bytes_reader(p.data, p.left);
	uint64_t size;
	int rc = chunk_box_get(&b, chunk_uuid_seal, &size);
	if (rc == 0)
		rc = chunk_seal_parse(p.data, p.left, &seal, NULL);
	if (rc == 0)
		*ret_size = size;
	return rc;
}

static bool is_known(struct place p)
{
	struct chunk_item item;
	uint64_t size;
	return chunk_frag_parse(p.data, p.left, &item.header, &item.receipt, &item.gap_cause) ==
		       0 ||
	       seal_at(p, &size) == 0;
}

/* The first box of ours after the place's start, as an offset from it; p.left when there is none. */
static size_t resync(struct place p)
{
	const size_t type_at = 4;
	for (size_t at = 1; at + CHUNK_BOX_HEADER <= p.left;) {
		const uint8_t *hit =
			memmem(p.data + at + type_at, p.left - at - type_at, "uuid", 4);
		if (!hit)
			break;
		at = (size_t)(hit - p.data) - type_at;
		if (is_known((struct place){p.data + at, p.left - at}))
			return at;
		at++;
	}
	return p.left;
}

static void damage(struct chunk_item *item, uint64_t offset, uint64_t len)
{
	item->kind = CHUNK_ITEM_DAMAGE;
	item->offset = offset;
	item->len = len;
}

/* A fragment's box has been read whole at `offset`: how many bytes box and body take, and what they
 * are. */
static uint64_t take_fragment(
	struct place p, uint64_t offset, bool check_body, struct chunk_item *item)
{
	const uint64_t whole = (uint64_t)CHUNK_FRAG_BOX + item->header.body_len;
	if (whole > p.left) {
		damage(item, offset, p.left);
		return p.left;
	}
	if (check_body && fragment_check_crc(&item->header, p.data + CHUNK_FRAG_BOX) < 0) {
		damage(item, offset, whole);
		return whole;
	}
	item->kind = CHUNK_ITEM_FRAGMENT;
	item->offset = offset + CHUNK_FRAG_BOX;
	item->len = item->header.body_len;
	return whole;
}

void chunk_scan(
	const void *data, size_t len, uint64_t *at, bool check_bodies, struct chunk_item *ret_item)
{
	struct chunk_item item = {0};
	uint64_t padding;
	while (*at < len &&
		is_padding((struct place){(const uint8_t *)data + *at, len - *at}, &padding))
		*at += padding;
	const uint64_t offset = *at;
	if (offset >= len) {
		item.kind = CHUNK_ITEM_END;
		item.offset = len;
		*at = len;
		*ret_item = item;
		return;
	}
	const struct place p = {(const uint8_t *)data + offset, len - (size_t)offset};
	struct fragment_header header;
	int rc = chunk_frag_parse(p.data, p.left, &header, &item.receipt, &item.gap_cause);
	if (rc == 0) {
		item.header = header;
		*at = offset + take_fragment(p, offset, check_bodies, &item);
		*ret_item = item;
		return;
	}
	uint64_t size;
	rc = seal_at(p, &size);
	if (rc == 0) {
		item.kind = CHUNK_ITEM_SEAL;
		item.offset = offset;
		item.len = size;
		*at = len; /* what follows is mfra, for others */
	} else if (rc == ERR_TRUNCATED) {
		damage(&item, offset, p.left);
		*at = len;
	} else {
		size_t hop = resync(p);
		damage(&item, offset, hop);
		*at = offset + hop;
	}
	*ret_item = item;
}
