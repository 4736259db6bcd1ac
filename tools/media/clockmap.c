/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/media/clockmap.h"

#include "base/clock.h"

#define STEP_US          (US_PER_SECOND / 2)
#define SLEW_PPM         500
#define WINDOW_US        (10 * US_PER_SECOND)
#define SENDER_TRUST_US  US_PER_DAY /* a camera's clock further off than this is not set at all */
#define RECEIPT_ERROR_US (2 * US_PER_SECOND)
#define SENDER_ERROR_US  (US_PER_SECOND / 10)

void clockmap_init(struct clockmap *c, enum clockmap_mode mode, int64_t declared_us)
{
	*c = (struct clockmap){.mode = mode, .declared_us = declared_us};
}

void clockmap_restart(struct clockmap *c)
{
	c->anchored = false;
	c->has_before = false;
}

static int64_t magnitude(int64_t v)
{
	return v < 0 ? -v : v;
}

/* Delays only ever add, so the least of (receipt - media) over the last windows is the best measure
 * of receipt. */
static int64_t receipt_offset(struct clockmap *c, const struct clockmap_reading *r)
{
	int64_t now = r->receipt_us - r->media_us;
	if (!c->anchored) {
		c->window_start_us = r->receipt_us;
		c->low_now_us = now;
		c->has_before = false;
	} else if (r->receipt_us - c->window_start_us > WINDOW_US ||
		   r->receipt_us < c->window_start_us) {
		c->low_before_us = c->low_now_us;
		c->has_before = true;
		c->low_now_us = now;
		c->window_start_us = r->receipt_us;
	} else if (now < c->low_now_us) {
		c->low_now_us = now;
	}
	return c->has_before && c->low_before_us < c->low_now_us ? c->low_before_us : c->low_now_us;
}

static bool sender_counts(struct clockmap *c, const struct clockmap_reading *r)
{
	if (c->mode == CLOCKMAP_DECLARED || r->sender_us < 0)
		return false;
	c->camera_ahead_us = r->sender_us - r->receipt_us;
	return c->mode == CLOCKMAP_AUTO && magnitude(c->camera_ahead_us) <= SENDER_TRUST_US;
}

/* Moves the offset toward `measured`; true when it had to step. */
static bool follow(struct clockmap *c, int64_t measured, int64_t media_us)
{
	int64_t off = measured - c->offset_us;
	if (magnitude(off) > STEP_US) {
		c->offset_us = measured;
		return true;
	}
	int64_t most = (media_us - c->last_media_us) * SLEW_PPM / US_PER_SECOND;
	if (most <= 0)
		return false;
	c->offset_us += off > most ? most : off < -most ? -most : off;
	return false;
}

/* What cannot be known is said: before the first report the delay of the network, after it the
 * disagreement of two clocks. */
static uint32_t error_of(const struct clockmap *c, enum steppe_clock source, int64_t measured)
{
	int64_t error = magnitude(measured - c->offset_us);
	if (source == STEPPE_CLOCK_RECEIPT)
		error += RECEIPT_ERROR_US;
	else
		error += magnitude(c->camera_ahead_us) > RECEIPT_ERROR_US
				 ? magnitude(c->camera_ahead_us)
				 : SENDER_ERROR_US;
	return error > UINT32_MAX ? UINT32_MAX : (uint32_t)error;
}

static struct clockmap_result declared(struct clockmap *c, const struct clockmap_reading *r)
{
	if (!c->anchored) {
		c->offset_us = c->declared_us - r->media_us;
		c->anchored = true;
	}
	return (struct clockmap_result){
		.wall_us = r->media_us + c->offset_us, .source = STEPPE_CLOCK_DECLARED};
}

struct clockmap_result clockmap_take(struct clockmap *c, const struct clockmap_reading *r)
{
	if (c->mode == CLOCKMAP_DECLARED)
		return declared(c, r);
	int64_t receipt = receipt_offset(c, r);
	bool by_sender = sender_counts(c, r);
	int64_t measured = by_sender ? r->sender_us - r->media_us : receipt;
	bool stepped = false;
	if (!by_sender && c->anchored && c->source == STEPPE_CLOCK_RTCP)
		measured = c->offset_us; /* reports ceased: the last word stands */
	if (!c->anchored) {
		c->offset_us = measured;
		c->anchored = true;
		c->source = STEPPE_CLOCK_RECEIPT;
		c->last_media_us = r->media_us;
		stepped = true;
	} else {
		stepped = follow(c, measured, r->media_us);
	}
	if (by_sender)
		c->source = STEPPE_CLOCK_RTCP;
	if (r->media_us > c->last_media_us)
		c->last_media_us = r->media_us;
	return (struct clockmap_result){.wall_us = r->media_us + c->offset_us,
		.source = c->source,
		.error_us = error_of(c, c->source, measured),
		.stepped = stepped};
}
