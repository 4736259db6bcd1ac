/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/headwrite.h"

#include <stdio.h>

#include "base/errors.h"
#include "storaged/archive/rules.h"

static void start(struct headwrite *hw);

static void on_settled(struct settle *s)
{
	struct headwrite *hw = container_of(s, struct headwrite, settle);
	int status = s->status;
	buf_unref(&hw->body);
	if (status) {
		hw->stopped = true;
		hw->failed(hw, status);
		return;
	}
	hw->ver++;
	if (hw->wanted && !hw->stopped)
		retry_soon(&hw->retry, hw->tenure->loop);
	hw->written(hw);
}

static void on_trouble(struct settle *s, int error)
{
	struct headwrite *hw = container_of(s, struct headwrite, settle);
	hw->failures++;
	hw->trouble(hw, error);
}

static void again(struct retry *r)
{
	struct headwrite *hw = container_of(r, struct headwrite, retry);
	if (hw->wanted && !settle_busy(&hw->settle))
		start(hw);
}

static void start(struct headwrite *hw)
{
	struct head head = {0};
	char name[STORE_NAME_MAX + 1], epoch[ATTR_U64_SIZE + 1], ver[ATTR_U64_SIZE + 1];
	hw->compose(hw, &head);
	int rc = head_encode(&head, &hw->body);
	if (rc) {
		retry_later(&hw->retry, hw->tenure->loop);
		return;
	}
	retry_reset(&hw->retry);
	hw->wanted = false;
	hw->failures = 0;
	hw->part = (struct slice){.buf = hw->body, .data = hw->body->data, .len = hw->body->len};
	head_name(name, hw->tenure->stream);
	settle_begin(&hw->settle, hw->tenure, STORE_META, name, ATTR_EPOCH);
	settle_guard_exists(&hw->settle);
	attr_u64_format(hw->tenure->epoch, epoch);
	if (rule_holds(RULE_EPOCH_GUARD))
		settle_guard_equal(&hw->settle, ATTR_EPOCH, epoch);
	attr_u64_format(hw->ver, ver);
	settle_guard_equal(&hw->settle, ATTR_VER, ver);
	attr_u64_format(hw->ver + 1, ver);
	settle_set(&hw->settle, ATTR_VER, ver);
	if (hw->yielding)
		settle_set(&hw->settle, ATTR_OWNER, "");
	settle_body_whole(&hw->settle, &hw->part, 1);
	settle_submit(&hw->settle);
}

void headwrite_init(struct headwrite *hw, const struct tenure *tenure, uint64_t ver)
{
	hw->tenure = tenure;
	hw->ver = ver;
	hw->settle.done = on_settled;
	hw->settle.trouble = on_trouble;
	hw->retry.again = again;
}

void headwrite_want(struct headwrite *hw)
{
	if (hw->stopped || hw->wanted)
		return;
	hw->wanted = true;
	/* later in any case: wants of the same turn come together */
	if (!settle_busy(&hw->settle))
		retry_soon(&hw->retry, hw->tenure->loop);
}

void headwrite_yield(struct headwrite *hw)
{
	hw->yielding = true;
	headwrite_want(hw);
}

bool headwrite_busy(const struct headwrite *hw)
{
	return hw->wanted || settle_busy(&hw->settle);
}

void headwrite_stop(struct headwrite *hw)
{
	hw->stopped = true;
	hw->wanted = false;
	retry_stop(&hw->retry);
	settle_cancel(&hw->settle);
}

void headwrite_fini(struct headwrite *hw)
{
	CHECK(!settle_busy(&hw->settle) && !retry_armed(&hw->retry));
	buf_unref(&hw->body);
}
