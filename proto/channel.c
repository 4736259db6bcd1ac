/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/channel.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "proto/refusal.h"

static const struct {
	unsigned role;
	const char *word;
} words[] = {{ROLE_NODE, "node"}, {ROLE_RECORDER, "recorder"}, {ROLE_INVESTIGATOR, "investigator"},
	{ROLE_ADMIN, "admin"}};

unsigned channel_role_of(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(words[i].word, word) == 0)
			return words[i].role;
	return 0;
}

void channel_roles_text(unsigned roles, char text[CHANNEL_ROLES_TEXT])
{
	size_t at = 0;
	text[0] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (roles & words[i].role)
			at += (size_t)snprintf(text + at, CHANNEL_ROLES_TEXT - at, "%s%s",
				at ? "," : "", words[i].word);
}

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
