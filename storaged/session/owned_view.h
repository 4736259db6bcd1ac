/* SPDX-License-Identifier: Apache-2.0 */
/* A view of a stream whoever owns it: from the owner's memory when this loop does (its writer is
 * held meanwhile), else from the store alone. Private to the session room. */
#pragma once

#include "storaged/session/machines.h"

struct owned_view {
	void (*done)(struct owned_view *req); /* once, later; then req is yours again */
	int status;                           /* what reader_view says */
	struct view *view;                    /* given */
	/* private */
	struct service *service;
	const char *stream;
	struct wall from, to;
	struct keeper_take take;
	struct reader_view request;
	bool held;
};

/* Borrows req and `stream` until done(). */
void owned_view(struct service *s, struct owned_view *req, const char *stream, struct wall from,
	struct wall to);
