/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/pins.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/errors.h"

#define ID_SIZE 16

bool pins_touch(struct wall from, struct wall to, int32_t day)
{
	int64_t reach = CHUNK_LENGTH_MAX_US + 60 * US_PER_SECOND;
	int64_t begin = from.us > reach ? from.us - reach : 0;
	return begin / US_PER_DAY <= day && to.us / US_PER_DAY >= day;
}

static bool has(const uint8_t *pins, size_t len, const uint8_t id[ID_SIZE])
{
	for (size_t at = 0; at < len; at += PIN_SIZE)
		if (!memcmp(pins + at, id, ID_SIZE))
			return true;
	return false;
}

int pins_add_holds(const void *old, size_t old_len, const struct head *head, int32_t day,
	struct buf **ret_pins)
{
	if (old_len % PIN_SIZE || old_len > STORE_ATTR_VALUE_MAX)
		return ERR_FORMAT;
	struct buf *pins = buf_new(STORE_ATTR_VALUE_MAX);
	if (!pins)
		return -ENOMEM;
	struct bytes b = bytes_writer(pins->data, pins->len);
	bytes_put(&b, old, old_len);
	for (unsigned i = 0; i < head->hold_count; i++) {
		const struct head_hold *hold = &head->holds[i];
		if (hold->state == HOLD_RELEASING || !pins_touch(hold->from, hold->to, day) ||
			has(pins->data, b.at, hold->id))
			continue;
		bytes_put(&b, hold->id, ID_SIZE);
		bytes_put_u64(&b, (uint64_t)hold->from.us);
		bytes_put_u64(&b, (uint64_t)hold->to.us);
	}
	if (b.error) {
		buf_unref(&pins);
		return ERR_LIMIT;
	}
	pins->len = b.at;
	*ret_pins = pins;
	return 0;
}

bool pins_hold(
	const void *pins, size_t len, const struct head *head, struct wall from, struct wall to)
{
	struct bytes b = bytes_reader(pins, len);
	if (len % PIN_SIZE)
		return true;
	while (b.at < len) {
		bytes_skip(&b, ID_SIZE);
		int64_t pin_from = (int64_t)bytes_get_u64(&b), pin_to = (int64_t)bytes_get_u64(&b);
		if (from.us < pin_to && to.us > pin_from)
			return true;
	}
	for (unsigned i = 0; i < head->hold_count; i++)
		if (from.us < head->holds[i].to.us && to.us > head->holds[i].from.us)
			return true;
	return false;
}
