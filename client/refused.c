/* SPDX-License-Identifier: Apache-2.0 */
#include "client/refused.h"

#include <stdio.h>

#include "client/steppe.h"
#include "proto/refusal.h"
#include "proto/steppe.pb-c.h"

static _Thread_local struct refused last;

void refused_read(const struct frame *frame, struct refused *ret_refused)
{
	*ret_refused = (struct refused){.code = REFUSAL_PROTOCOL};
	Steppe__Wire__Refused *m =
		steppe__wire__refused__unpack(NULL, frame->header.meta_len, frame->meta);
	if (!m)
		return;
	if (m->code && m->code <= INT16_MAX)
		ret_refused->code = (int)m->code;
	ret_refused->retry_after_ms = m->retry_after_ms;
	ret_refused->lane = m->lane;
	snprintf(
		ret_refused->reason, sizeof(ret_refused->reason), "%s", m->reason ? m->reason : "");
	steppe__wire__refused__free_unpacked(m, NULL);
}

void refused_remember(const struct refused *refused)
{
	last = refused ? *refused : (struct refused){0};
}

int steppe_last_refusal(const char **ret_reason)
{
	if (ret_reason)
		*ret_reason = last.code ? last.reason : NULL;
	return last.code;
}
