/* SPDX-License-Identifier: Apache-2.0 */
/* Channels over TCP and TLS 1.3, mutual always (OpenSSL in tls.c alone), on a libuv loop:
 * connecting and listening. */
#pragma once

#include "base/loop_uv.h"
#include "proto/channel.h"

/* Certificates and trust, shared by all links of a process, replaceable while they run. Any thread. */
struct tls_identity;

struct tls_files {
	const char *ca;   /* PEM, one or more roots */
	const char *cert; /* PEM, leaf first */
	const char *key;  /* PEM */
	const char *crl;  /* PEM or NULL; a missing file is an empty list */
};
/* Loads; on failure words for a person in `why`. Gives an object with one reference. */
int tls_identity_load(const struct tls_files *files, struct tls_identity **ret_identity, char *why,
	size_t why_size);
/* What the own certificate says: whether it is still good is the peers' to judge, to warn in time
 * is the caller's. */
struct tls_own {
	char name[128];
	unsigned roles;
	struct wall ends;
};
void tls_identity_own(const struct tls_identity *id, struct tls_own *ret_own);
struct tls_identity *tls_identity_ref(struct tls_identity *id);
void tls_identity_unref(struct tls_identity **id);

/* The greeting this side sends; borrowed strings must outlive the use. */
struct link_hello {
	const char *software;
	const char *node; /* NULL for clients */
	uint8_t cluster[16];
	uint64_t boot_nonce;
	uint32_t format_level;
};

struct link_options {
	size_t queue_limit; /* 0: 8 MiB */
	int64_t connect_ms; /* 0: 5 s for TCP, TLS and greeting together */
	int64_t ping_ms; /* 0: a PING after 5 s of silence; three without an answer end the channel
			    (-ETIMEDOUT) */
	unsigned expect_roles; /* the peer must have one of these (clients: ROLE_NODE) */
};

/* Starts connecting to "host:port" (names resolved asynchronously). The channel exists at once;
 * user->ready or user->closed tells the outcome. NULL when memory is short or the address has no
 * host and port. */
struct channel *link_connect(struct loop_uv *loop, const char *address, struct tls_identity *id,
	const struct link_hello *hello, const struct link_options *options,
	struct channel_user *user);

struct link_listener;
struct link_listener_config {
	struct tls_identity *id;
	struct link_hello hello;
	struct link_options options;
	unsigned handshakes_max; /* at once; more wait in the kernel's backlog; 0: 256 */
	unsigned channels_max;   /* 0: 10,000; more are closed at once */
	bool join; /* share the address with listeners of this process on other loops; otherwise one
		      in use is -EADDRINUSE */
	/* A peer passed TLS and greeting. Returns the user for the new channel (ready() follows),
	 * or NULL to close it. */
	struct channel_user *(*accepted)(struct link_listener *l, void *owner, struct channel *ch);
	void (*failed)(struct link_listener *l, void *owner, const char *peer,
		const char *words); /* handshake refused: count, log */
	void *owner;
};
/* Listens on "host:port" (port 0: any). Several listeners may share an address by SO_REUSEPORT, one
 * a loop. */
int link_listen(struct loop_uv *loop, const char *address,
	const struct link_listener_config *config, struct link_listener **ret_listener, char *why,
	size_t why_size);
/* The bound address, "host:port"; valid as long as the listener. */
const char *link_listener_address(const struct link_listener *l);
/* New handshakes use `id` from now on. Loop thread. */
void link_listener_set_identity(struct link_listener *l, struct tls_identity *id);
struct link_listener_counts {
	uint64_t accepted;             /* passed TLS and greeting */
	uint64_t resumed;              /* of these without a full handshake */
	uint64_t failed;               /* told to failed() */
	unsigned handshakes, channels; /* now */
};
struct link_listener_counts link_listener_counts(const struct link_listener *l);
/* Stops accepting; links that have not greeted yet end, channels go on. closed() when the socket is
 * released. */
void link_listener_free(struct link_listener **l, struct loop_task *closed);
