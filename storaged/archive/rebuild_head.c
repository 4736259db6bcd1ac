/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/rebuild_head.h"

#include <string.h>

#include "base/errors.h"

/* The session's place; the one heard of longest ago makes room. */
static struct head_session *place_of(struct head *h, uint64_t session)
{
	struct head_session *oldest = &h->sessions[0];
	for (uint8_t i = 0; i < h->session_count; i++) {
		if (h->sessions[i].session == session)
			return &h->sessions[i];
		if (h->sessions[i].last_append.us < oldest->last_append.us)
			oldest = &h->sessions[i];
	}
	if (h->session_count < HEAD_SESSIONS_MAX)
		oldest = &h->sessions[h->session_count++];
	*oldest = (struct head_session){.session = session};
	return oldest;
}

int rebuild_head_add(struct head *h, const struct rebuild_link *link)
{
	if (!link->sealed) {
		if (h->intent_count == HEAD_INTENTS_MAX)
			return ERR_LIMIT;
		h->intents[h->intent_count++] =
			(struct head_intent){link->id, link->day, link->session, link->lane};
		return 0;
	}
	if (link->session) {
		struct head_session *s = place_of(h, link->session);
		if (link->last_seq > s->last_seq)
			s->last_seq = link->last_seq;
		if (link->end.us > s->last_append.us)
			s->last_append = link->end;
	}
	if (link->lane == LANE_LIVE && link->session) {
		h->last_chunk = link->id;
		memcpy(h->last_digest, link->digest, DIGEST_SIZE);
		if (link->end.us > h->last_end.us)
			h->last_end = link->end;
	}
	return 0;
}
