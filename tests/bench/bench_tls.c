/* SPDX-License-Identifier: Apache-2.0 */
/* What a link costs per byte, against OpenSSL alone with the same cipher: seconds of processor time
 * a gigabyte, of the thread that receives and of the one that sends, over a loopback socket,
 * interleaved in one run; medians.
 *
 *	bench_tls [MEGABYTES] [ROUNDS] [FRAME_BYTES] */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "base/check.h"
#include "proto/link.h"
#include "proto/pki.h"

#define PIECE (64u << 10) /* what the bare sender and receiver ask for at once */

static char dir[64];
static size_t total_bytes = 1024u << 20, frame_bytes = 1u << 20;

struct cost {
	double receive_s, send_s, wall_s; /* a gigabyte */
};

static double thread_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double per_gb(double seconds)
{
	return seconds * 1e9 / (double)total_bytes;
}

static const char *path(const char *name)
{
	static char paths[4][128];
	static unsigned next;
	char *p = paths[next++ % 4];
	snprintf(p, sizeof(paths[0]), "%s/%s", dir, name);
	return p;
}

static void make_certificates(void)
{
	char why[256] = "";
	const struct pki_issue node = {.name = "node", .roles = ROLE_NODE};
	snprintf(dir, sizeof(dir), "/tmp/steppe-bench-XXXXXX");
	if (!mkdtemp(dir) || pki_init(dir, "bench", why, sizeof(why)) < 0 ||
		pki_issue(dir, &node, why, sizeof(why)) < 0) {
		fprintf(stderr, "bench_tls: %s\n", why);
		exit(1);
	}
}

/* --- OpenSSL alone, blocking sockets */

struct bare {
	int fd;
	bool sends;
	double cpu_s;
};

static void *bare_end(void *arg)
{
	struct bare *b = arg;
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	CHECK(ctx && SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256"));
	CHECK(SSL_CTX_use_certificate_chain_file(ctx, path("node.crt")) == 1);
	CHECK(SSL_CTX_use_PrivateKey_file(ctx, path("node.key"), SSL_FILETYPE_PEM) == 1);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_default_read_buffer_len(ctx, PIECE);
	SSL *ssl = SSL_new(ctx);
	uint8_t *data = calloc(1, frame_bytes);
	CHECK(ssl && data && SSL_set_fd(ssl, b->fd));
	CHECK((b->sends ? SSL_connect(ssl) : SSL_accept(ssl)) == 1);
	double from_s = thread_s();
	for (size_t done = 0; done < total_bytes;) {
		size_t at = done % frame_bytes,
		       len = frame_bytes - at < PIECE ? frame_bytes - at : PIECE;
		int n = b->sends ? SSL_write(ssl, data + at, (int)len)
				 : SSL_read(ssl, data + at, (int)len);
		CHECK(n > 0);
		done += (size_t)n;
	}
	b->cpu_s = thread_s() - from_s;
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	free(data);
	return NULL;
}

static void connected_pair(int fd[2])
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(bind(listener, (struct sockaddr *)&at, size) == 0 && listen(listener, 1) == 0);
	CHECK(getsockname(listener, (struct sockaddr *)&at, &size) == 0);
	fd[0] = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(connect(fd[0], (struct sockaddr *)&at, size) == 0);
	fd[1] = accept(listener, NULL, NULL);
	CHECK(fd[1] >= 0);
	close(listener);
}

static struct cost run_bare(void)
{
	int fd[2];
	pthread_t thread;
	connected_pair(fd);
	struct bare sender = {.fd = fd[0], .sends = true}, receiver = {.fd = fd[1]};
	double from_s = now_s();
	CHECK(pthread_create(&thread, NULL, bare_end, &sender) == 0);
	bare_end(&receiver);
	pthread_join(thread, NULL);
	double wall_s = now_s() - from_s;
	close(fd[0]);
	close(fd[1]);
	return (struct cost){per_gb(receiver.cpu_s), per_gb(sender.cpu_s), per_gb(wall_s)};
}

/* --- links */

struct end {
	struct loop_uv loop;
	struct channel_user user;
	struct tls_identity *id;
	struct slice body;
	size_t left; /* bytes still to send or to receive */
	double from_s, cpu_s;
	char address[64];
};

static struct end *end_of(struct channel_user *user)
{
	return container_of(user, struct end, user);
}

static void send_more(struct channel *ch, struct channel_user *user)
{
	struct end *e = end_of(user);
	while (e->left && !channel_is_full(ch)) {
		Steppe__Wire__Append meta = STEPPE__WIRE__APPEND__INIT;
		CHECK(channel_send(ch, FRAME_APPEND, 1, &meta.base, &e->body, 1) == 0);
		e->left -= e->left < frame_bytes ? e->left : frame_bytes;
	}
	if (!e->left)
		channel_close(ch);
}

static void on_ready(struct channel *ch, struct channel_user *user, const Steppe__Wire__Hello *peer)
{
	(void)peer;
	end_of(user)->from_s = thread_s();
	if (end_of(user)->body.buf)
		send_more(ch, user);
}

static void on_frame(struct channel *ch, struct channel_user *user, const struct frame *frame)
{
	(void)ch;
	struct end *e = end_of(user);
	e->left -= e->left < frame->body.len ? e->left : frame->body.len;
}

static void on_closed(struct channel *ch, struct channel_user *user, int status, const char *words)
{
	(void)ch;
	struct end *e = end_of(user);
	if (status < 0 || e->left) {
		fprintf(stderr, "bench_tls: %zu bytes left: %s\n", e->left, words);
		exit(1);
	}
	e->cpu_s = thread_s() - e->from_s;
	loop_uv_stop(&e->loop);
}

static struct channel_user *on_accepted(struct link_listener *l, void *owner, struct channel *ch)
{
	(void)l;
	(void)ch;
	return &((struct end *)owner)->user;
}

static void end_init(struct end *e)
{
	char why[256];
	const struct tls_files files = {
		.ca = path("ca.crt"), .cert = path("node.crt"), .key = path("node.key")};
	*e = (struct end){.user = {.ready = on_ready,
				  .frame = on_frame,
				  .drained = send_more,
				  .closed = on_closed},
		.left = total_bytes};
	CHECK(loop_uv_init(&e->loop) == 0);
	CHECK(tls_identity_load(&files, &e->id, why, sizeof(why)) == 0);
}

static void end_fini(struct end *e)
{
	loop_uv_fini(&e->loop);
	tls_identity_unref(&e->id);
	slice_drop(&e->body);
}

static void *link_sender(void *arg)
{
	struct end *e = arg;
	const struct link_hello hello = {.software = "bench"};
	const struct link_options options = {.expect_roles = ROLE_NODE};
	CHECK(link_connect(&e->loop, e->address, e->id, &hello, &options, &e->user) != NULL);
	loop_uv_run(&e->loop);
	return NULL;
}

static struct cost run_link(void)
{
	static struct end sender, receiver;
	char why[256];
	pthread_t thread;
	end_init(&sender);
	end_init(&receiver);
	struct buf *body = buf_new(frame_bytes);
	CHECK(body != NULL);
	memset(body->data, 0, frame_bytes);
	sender.body = (struct slice){.buf = body, .data = body->data, .len = frame_bytes};
	struct link_listener_config config = {.id = receiver.id,
		.hello = {.software = "bench", .node = "node"},
		.accepted = on_accepted,
		.owner = &receiver};
	struct link_listener *listener;
	CHECK(link_listen(&receiver.loop, "127.0.0.1:0", &config, &listener, why, sizeof(why)) ==
		0);
	snprintf(sender.address, sizeof(sender.address), "%s", link_listener_address(listener));
	double from_s = now_s();
	CHECK(pthread_create(&thread, NULL, link_sender, &sender) == 0);
	loop_uv_run(&receiver.loop);
	pthread_join(thread, NULL);
	double wall_s = now_s() - from_s;
	link_listener_free(&listener, NULL);
	struct cost cost = {per_gb(receiver.cpu_s), per_gb(sender.cpu_s), per_gb(wall_s)};
	end_fini(&sender);
	end_fini(&receiver);
	return cost;
}

/* --- report */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double middle(const struct cost *costs, int count, size_t offset, bool best)
{
	double values[64];
	for (int i = 0; i < count; i++)
		memcpy(&values[i], (const char *)&costs[i] + offset, sizeof(values[i]));
	qsort(values, (size_t)count, sizeof(values[0]), compare);
	return best ? values[0] : values[count / 2];
}

#define MEDIAN(costs, count, field) middle(costs, count, offsetof(struct cost, field), false)
#define BEST(costs, count, field)   middle(costs, count, offsetof(struct cost, field), true)

static void print_costs(const char *name, const struct cost *costs, int rounds)
{
	printf(" \"%s\": {\"receive_s_per_gb\": %.3f, \"send_s_per_gb\": %.3f, \"wall_s_per_gb\": "
	       "%.3f, "
	       "\"best_receive_s_per_gb\": %.3f, \"best_send_s_per_gb\": %.3f},\n",
		name, MEDIAN(costs, rounds, receive_s), MEDIAN(costs, rounds, send_s),
		MEDIAN(costs, rounds, wall_s), BEST(costs, rounds, receive_s),
		BEST(costs, rounds, send_s));
}

int main(int argc, char **argv)
{
	int rounds = 5;
	if (argc > 1)
		total_bytes = (size_t)atoi(argv[1]) << 20;
	if (argc > 2)
		rounds = atoi(argv[2]);
	if (argc > 3)
		frame_bytes = (size_t)atoi(argv[3]);
	if (rounds < 1 || rounds > 64 || !total_bytes || frame_bytes < 1 ||
		frame_bytes > FRAME_BODY_MAX) {
		fprintf(stderr, "usage: bench_tls [MEGABYTES] [ROUNDS up to 64] [FRAME_BYTES]\n");
		return 2;
	}
	struct cost bare[64], link[64];
	make_certificates();
	for (int i = 0; i < rounds; i++) {
		bare[i] = run_bare();
		link[i] = run_link();
	}
	printf("{\"bytes\": %zu, \"rounds\": %d, \"frame_bytes\": %zu,\n", total_bytes, rounds,
		frame_bytes);
	print_costs("bare", bare, rounds);
	print_costs("link", link, rounds);
	printf(" \"ratio\": {\"receive\": %.3f, \"send\": %.3f, \"best_receive\": %.3f, "
	       "\"best_send\": %.3f}}\n",
		MEDIAN(link, rounds, receive_s) / MEDIAN(bare, rounds, receive_s),
		MEDIAN(link, rounds, send_s) / MEDIAN(bare, rounds, send_s),
		BEST(link, rounds, receive_s) / BEST(bare, rounds, receive_s),
		BEST(link, rounds, send_s) / BEST(bare, rounds, send_s));
	char command[96];
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command) == 0 ? 0 : 1;
}
