/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/channel.h"

#include "proto/refusal.h"

int channel_refuse(struct channel *ch, uint32_t stream, int refusal, const char *reason,
	uint32_t retry_after_ms)
{
	Steppe__Wire__Refused refused = STEPPE__WIRE__REFUSED__INIT;
	refused.code = (uint32_t)refusal;
	/* the generated structure has no const, packing does not write */
	refused.reason = (char *)(reason ? reason : refusal_text(refusal));
	refused.retry_after_ms = retry_after_ms;
	return channel_send(ch, FRAME_REFUSED, stream, &refused.base, NULL, 0);
}
