/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/errors.h"
#include "storaged/archive/gaps.h"
#include "storaged/archive/index.h"

/*	0 magic "STPD"   4 level u8   5 zero, 3   8 count u32   12 days ...   CRC of all before
 *	a day: 0 day i32   4 bytes u64   12 seconds, 96 x u16   204 seconds of gaps by cause, 9 x
 * u32 */
#define DAYS_MAGIC  0x53545044u
#define DAYS_LEVEL  1
#define DAYS_HEADER 12
#define DAY_SIZE    240
#define QUARTERS    96
#define QUARTER_US  (US_PER_DAY / QUARTERS)
static_assert(4 + 8 + 2 * QUARTERS + 4 * GAP_CAUSES == DAY_SIZE, "what a day takes");

int index_days_encode(const struct index_days *d, struct buf **ret_buf)
{
	if (d->count > INDEX_DAYS_MAX)
		return ERR_LIMIT;
	struct buf *buf = buf_new(DAYS_HEADER + d->count * DAY_SIZE + 4);
	if (!buf)
		return -ENOMEM;
	struct bytes b = bytes_writer(buf->data, buf->len);
	bytes_put_u32(&b, DAYS_MAGIC);
	bytes_put_u8(&b, DAYS_LEVEL);
	bytes_put_zero(&b, 3);
	bytes_put_u32(&b, (uint32_t)d->count);
	for (size_t i = 0; i < d->count; i++) {
		const struct index_day *day = &d->days[i];
		bytes_put_u32(&b, (uint32_t)day->day);
		bytes_put_u64(&b, day->bytes);
		for (size_t k = 0; k < QUARTERS; k++)
			bytes_put_u16(&b, day->seconds[k]);
		for (size_t k = 0; k < GAP_CAUSES; k++)
			bytes_put_u32(&b, day->gap_seconds[k]);
	}
	bytes_put_u32(&b, crc32c(0, buf->data, buf->len - 4));
	CHECK(!b.error && bytes_left(&b) == 0);
	*ret_buf = buf;
	return 0;
}

static void get_day(struct bytes *b, struct index_day *day)
{
	day->day = (int32_t)bytes_get_u32(b);
	day->bytes = bytes_get_u64(b);
	for (size_t k = 0; k < QUARTERS; k++)
		day->seconds[k] = bytes_get_u16(b);
	for (size_t k = 0; k < GAP_CAUSES; k++)
		day->gap_seconds[k] = bytes_get_u32(b);
}

int index_days_decode(const void *data, size_t len, struct index_days *ret_days)
{
	if (len < DAYS_HEADER + 4)
		return ERR_TRUNCATED;
	struct bytes end = bytes_reader((const uint8_t *)data + len - 4, 4);
	if (bytes_get_u32(&end) != crc32c(0, data, len - 4))
		return ERR_CHECKSUM;
	struct bytes b = bytes_reader(data, len);
	if (bytes_get_u32(&b) != DAYS_MAGIC)
		return ERR_FORMAT;
	if (bytes_get_u8(&b) != DAYS_LEVEL)
		return ERR_VERSION;
	uint32_t zero = bytes_get_u24(&b), count = bytes_get_u32(&b);
	if (zero || count > INDEX_DAYS_MAX || len != DAYS_HEADER + (size_t)count * DAY_SIZE + 4)
		return ERR_FORMAT;
	struct index_days d = {.days = calloc(count ? count : 1, sizeof(*d.days)), .count = count};
	if (!d.days)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		get_day(&b, &d.days[i]);
		if (d.days[i].day < 0 || d.days[i].day > WALL_MAX_US / US_PER_DAY ||
			(i > 0 && d.days[i].day <= d.days[i - 1].day))
			bytes_fail(&b, ERR_FORMAT);
	}
	if (b.error) {
		index_days_fini(&d);
		return b.error;
	}
	*ret_days = d;
	return 0;
}

void index_days_fini(struct index_days *d)
{
	free(d->days);
	*d = (struct index_days){0};
}

struct index_day *index_days_put(struct index_days *d, int32_t day)
{
	size_t at = d->count;
	while (at > 0 && d->days[at - 1].day >= day)
		at--;
	if (at < d->count && d->days[at].day == day)
		return &d->days[at];
	if (d->count == INDEX_DAYS_MAX)
		return NULL;
	/* a day is added once a day: growing by one is as good as any */
	struct index_day *days = realloc(d->days, (d->count + 1) * sizeof(*days));
	if (!days)
		return NULL;
	memmove(&days[at + 1], &days[at], (d->count - at) * sizeof(*days));
	days[at] = (struct index_day){.day = day};
	d->days = days;
	d->count++;
	return &days[at];
}

/* --- a day from its records --- */

static uint32_t whole_seconds(int64_t us)
{
	return (uint32_t)((us + US_PER_SECOND / 2) / US_PER_SECOND);
}

static void add_quarters(int64_t us[QUARTERS], int64_t from, int64_t to)
{
	if (from < 0)
		from = 0;
	if (to > US_PER_DAY)
		to = US_PER_DAY;
	for (int64_t at = from; at < to;) {
		int64_t quarter = at / QUARTER_US, end = (quarter + 1) * QUARTER_US;
		if (end > to)
			end = to;
		us[quarter] += end - at;
		at = end;
	}
}

int index_day_make(
	const struct index_record *records, size_t count, int32_t day, struct index_day *ret_day)
{
	const int64_t midnight = day * US_PER_DAY;
	struct index_day d = {.day = day};
	struct gap_cover *covers = calloc(count * (INDEX_GAPS_MAX + 1) + 1, sizeof(*covers));
	struct gap *claims = calloc(count * (INDEX_GAPS_MAX + 1) + 1, sizeof(*claims));
	struct gap *gaps = NULL;
	size_t covered = 0, claimed = 0, gap_count = 0;
	int rc = -ENOMEM;
	if (!covers || !claims)
		goto fail;
	for (size_t i = 0; i < count; i++) {
		size_t more_covers, more_claims;
		gaps_of_record(&records[i], &covers[covered], &more_covers, &claims[claimed],
			&more_claims);
		covered += more_covers;
		claimed += more_claims;
		if (records[i].state != INDEX_TOMBSTONE && wall_day(records[i].start) == day)
			d.bytes += records[i].bytes;
	}
	const struct gap_question q = {
		covers, covered, claims, claimed, {midnight}, {midnight + US_PER_DAY}};
	rc = gaps_find(&q, &gaps, &gap_count);
	if (rc < 0)
		goto fail;
	int64_t quarters[QUARTERS] = {0}, causes[GAP_CAUSES] = {0};
	covered = gap_covers_join(covers, covered);
	for (size_t i = 0; i < covered; i++)
		add_quarters(quarters, covers[i].from.us - midnight, covers[i].to.us - midnight);
	for (size_t i = 0; i < gap_count; i++)
		causes[gaps[i].cause] += gaps[i].to.us - gaps[i].from.us;
	for (size_t i = 0; i < QUARTERS; i++)
		d.seconds[i] = (uint16_t)whole_seconds(quarters[i]);
	for (size_t i = 0; i < GAP_CAUSES; i++)
		d.gap_seconds[i] = whole_seconds(causes[i]);
	*ret_day = d;
fail:
	free(covers);
	free(claims);
	free(gaps);
	return rc;
}
