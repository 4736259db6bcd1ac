/* SPDX-License-Identifier: Apache-2.0 */
/* What the link's tests share: certificates of every kind, a listener and dialing ends on one real
 * loop, and users who check the rules of events. */
#pragma once

#include <stdbool.h>

#include "proto/link.h"

/* A channel's user that remembers what it saw and fails the test when an event breaks a rule. */
struct seen {
	struct channel_user user;
	struct channel *ch;
	struct fixture *f;
	unsigned ready, frames, drained, closed;
	int status;
	char words[256];
	size_t bytes;
	uint8_t last_type;
	uint32_t last_stream, last_refusal;
	bool last_peer_is_node;
	bool inside; /* a call on the channel runs: no event may come */
	bool pause_on_frame, close_on_frame, close_on_ready;
	bool echo;     /* sends each frame's body back */
	bool any_body; /* bodies are not the pattern */
};
void seen_init(struct seen *s, struct fixture *f);

/* Files of one kind of party, made once a run. */
enum party { NODE, NODE2, RECORDER, EXPIRED, REVOKED, NO_ROLE, FOREIGN, PARTIES };

struct fixture {
	struct loop_uv loop;
	struct link_listener *listener;
	struct link_listener_config config;
	struct link_options options; /* of those who dial */
	struct seen a, b;            /* who dials; who was accepted last */
	unsigned accepted, failed;
	char failure[256];
	bool refuse; /* accepted() gives no user */
	struct loop_timer guard;
	bool late;
};

/* For cmocka: the files' directory, once a group. */
int link_group_setup(void **state);
int link_group_teardown(void **state);
/* A loop and a listener of NODE on a free port of 127.0.0.1, each test. The listener goes first at
 * the end, then the loop must be empty. */
int link_setup(void **state);
int link_teardown(void **state);

/* The identity of a party, loaded anew; crl: with the revocation list. */
struct tls_identity *identity_of(enum party who, bool crl);
/* The path of a file in the directory: "NAME.crt"; valid until the next call but seven. */
const char *file_of(const char *name);

void listen_as(struct fixture *f, enum party who);
void listen_again(struct fixture *f);
/* Dials the listener for f->a. */
void dial_as(struct fixture *f, enum party who);
void dial_to(struct fixture *f, enum party who, const char *address);
/* Dials and waits for both ends to be ready. */
void connect_both(struct fixture *f);
/* Closes both ends, when there are any, and waits. */
void close_both(struct fixture *f);

/* Turns the loop until `condition` holds; the test fails when ten seconds pass first. */
#define WAIT_FOR(f, condition)                                                                     \
	do {                                                                                       \
		while (!(condition))                                                               \
			turn(f);                                                                   \
	} while (0)
void turn(struct fixture *f);
/* Turns it for a while. */
void turn_for(struct fixture *f, int64_t ms);

/* A slice with a buffer of its own, bytes 0, 1, 2 ... */
struct slice pattern(size_t len);
int send_pattern(struct seen *s, uint8_t type, size_t len);
