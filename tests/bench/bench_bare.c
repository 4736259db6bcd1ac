/* SPDX-License-Identifier: Apache-2.0 */
/* The bare parts of taking footage in, with nothing of Steppe between them: TLS receive, crc32c of
 * each body, the same guarded writes (librados) or file writes, as many in flight. What storaged
 * costs a gigabyte is compared with what this costs. One thread receives from a sender that is a
 * process of its own; prints one JSON object.
 *
 *	bench_bare [--seconds N] [--streams N] [--batch BYTES] rados CONF USER POOL
 *	bench_bare [--seconds N] [--streams N] [--batch BYTES] file DIRECTORY */
#include <arpa/inet.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <openssl/ssl.h>
#include <rados/librados.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "proto/pki.h"
#include "proto/channel.h"

#define PIECE       65536u      /* what is asked of TLS at once */
#define CHUNK_BYTES (32u << 20) /* then the next object */
#define STREAMS_MAX 1024

/* One object that grows, one write in flight. */
struct stream {
	unsigned number, chunk;
	size_t offset;
	uint8_t *body;
	sem_t idle;
	int fd;
	bool written; /* to a file, and not synced yet */
	struct stream *next;
};

static double run_seconds = 5;
static unsigned stream_count = 64;
static size_t batch_bytes = 1u << 20;
static char certificates[64];
static struct stream streams[STREAMS_MAX];
static rados_t cluster;
static rados_ioctx_t pool;
static const char *directory;
/* what the thread that syncs is to sync */
static struct stream *written;
static bool syncing_ends;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_s(int who)
{
	struct rusage u;
	getrusage(who, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* --- TLS --- */

static void make_certificates(void)
{
	char why[256] = "";
	const struct pki_issue node = {.name = "node", .roles = ROLE_NODE};
	snprintf(certificates, sizeof(certificates), "/tmp/steppe-bare-XXXXXX");
	if (!mkdtemp(certificates) || pki_init(certificates, "bench", why, sizeof(why)) < 0 ||
		pki_issue(certificates, &node, why, sizeof(why)) < 0) {
		fprintf(stderr, "bench_bare: %s\n", why);
		exit(1);
	}
}

static SSL *conversation(int fd, bool accepts)
{
	char cert[96], key[96];
	snprintf(cert, sizeof(cert), "%s/node.crt", certificates);
	snprintf(key, sizeof(key), "%s/node.key", certificates);
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	CHECK(ctx && SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256"));
	CHECK(SSL_CTX_use_certificate_chain_file(ctx, cert) == 1);
	CHECK(SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) == 1);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_default_read_buffer_len(ctx, PIECE);
	SSL *ssl = SSL_new(ctx);
	CHECK(ssl && SSL_set_fd(ssl, fd));
	CHECK((accepts ? SSL_accept(ssl) : SSL_connect(ssl)) == 1);
	return ssl;
}

/* The sender's process: bytes until nobody wants more. */
static void send_all(int fd)
{
	signal(SIGPIPE, SIG_IGN);
	SSL *ssl = conversation(fd, false);
	size_t size = 8u << 20;
	uint8_t *noise = malloc(size);
	CHECK(noise);
	uint64_t x = 88172645463325252u;
	for (size_t i = 0; i + 8 <= size; i += 8) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(noise + i, &x, 8);
	}
	for (size_t at = 0; SSL_write(ssl, noise + at, PIECE) > 0;)
		at = (at + PIECE) % size;
	_exit(0);
}

static int connected_sender(pid_t *ret_pid)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(bind(listener, (struct sockaddr *)&at, size) == 0 && listen(listener, 1) == 0);
	CHECK(getsockname(listener, (struct sockaddr *)&at, &size) == 0);
	*ret_pid = fork();
	CHECK(*ret_pid >= 0);
	if (*ret_pid == 0) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		CHECK(connect(fd, (struct sockaddr *)&at, size) == 0);
		send_all(fd);
	}
	int fd = accept(listener, NULL, NULL);
	CHECK(fd >= 0);
	close(listener);
	return fd;
}

/* --- RADOS --- */

static void object_name(const struct stream *s, char to[64])
{
	snprintf(to, 64, "bare/%d/%u.%u", getpid(), s->number, s->chunk);
}

static void on_written(rados_completion_t completion, void *arg)
{
	struct stream *s = arg;
	CHECK(rados_aio_get_return_value(completion) == 0);
	rados_aio_release(completion);
	sem_post(&s->idle);
}

static void write_rados(struct stream *s)
{
	char name[64], at[17], next[17];
	object_name(s, name);
	snprintf(at, sizeof(at), "%016zx", s->offset);
	snprintf(next, sizeof(next), "%016zx", s->offset + batch_bytes);
	rados_write_op_t op = rados_create_write_op();
	CHECK(op);
	if (s->offset == 0) {
		rados_write_op_create(op, LIBRADOS_CREATE_EXCLUSIVE, NULL);
		rados_write_op_setxattr(op, "ep", "0000000000000001", 16);
	} else {
		rados_write_op_assert_exists(op);
		rados_write_op_cmpxattr(op, "ep", LIBRADOS_CMPXATTR_OP_EQ, "0000000000000001", 16);
		rados_write_op_cmpxattr(op, "len", LIBRADOS_CMPXATTR_OP_EQ, at, 16);
	}
	rados_write_op_setxattr(op, "len", next, 16);
	rados_write_op_setxattr(op, "last", next, 16);
	rados_write_op_write(op, (const char *)s->body, batch_bytes, s->offset);
	rados_completion_t completion;
	CHECK(rados_aio_create_completion2(s, on_written, &completion) == 0);
	CHECK(rados_aio_write_op_operate(op, pool, completion, name, NULL, 0) == 0);
	rados_release_write_op(op);
}

static void open_rados(char **what)
{
	CHECK(rados_create(&cluster, what[2]) == 0);
	int rc = rados_conf_read_file(cluster, what[1]);
	if (!rc)
		rc = rados_connect(cluster);
	if (!rc)
		rc = rados_ioctx_create(cluster, what[3], &pool);
	if (rc) {
		fprintf(stderr, "bench_bare: no pool %s: %s\n", what[3], strerror(-rc));
		exit(1);
	}
}

static void close_rados(void)
{
	char name[64];
	for (unsigned i = 0; i < stream_count; i++) {
		for (unsigned last = streams[i].chunk, chunk = 0; chunk <= last; chunk++) {
			streams[i].chunk = chunk;
			object_name(&streams[i], name);
			(void)rados_remove(pool, name); /* the last may not have been begun */
		}
	}
	rados_ioctx_destroy(pool);
	rados_shutdown(cluster);
}

/* --- files --- */

static void file_name(const struct stream *s, char to[4200])
{
	snprintf(to, 4200, "%s/bare-%d-%u.%u", directory, getpid(), s->number, s->chunk);
}

static void write_file(struct stream *s)
{
	char name[4200];
	if (s->offset == 0) {
		file_name(s, name);
		if (s->fd >= 0)
			close(s->fd);
		s->fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		CHECK(s->fd >= 0);
	}
	CHECK(pwrite(s->fd, s->body, batch_bytes, (off_t)s->offset) == (ssize_t)batch_bytes);
	pthread_mutex_lock(&lock);
	s->next = written;
	written = s;
	pthread_cond_signal(&wake);
	pthread_mutex_unlock(&lock);
}

/* One sync serves all streams that have written since the last. */
static void *sync_files(void *arg)
{
	int dir = *(int *)arg;
	pthread_mutex_lock(&lock);
	while (written || !syncing_ends) {
		struct stream *batch = written;
		written = NULL;
		if (!batch) {
			pthread_cond_wait(&wake, &lock);
			continue;
		}
		pthread_mutex_unlock(&lock);
		CHECK(syncfs(dir) == 0);
		while (batch) {
			struct stream *next = batch->next;
			sem_post(&batch->idle);
			batch = next;
		}
		pthread_mutex_lock(&lock);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void remove_files(void)
{
	char name[4200];
	for (unsigned i = 0; i < stream_count; i++) {
		if (streams[i].fd >= 0)
			close(streams[i].fd);
		for (unsigned last = streams[i].chunk, chunk = 0; chunk <= last; chunk++) {
			streams[i].chunk = chunk;
			file_name(&streams[i], name);
			(void)unlink(name);
		}
	}
}

/* --- the run --- */

static bool read_body(SSL *ssl, uint8_t *to)
{
	for (size_t at = 0; at < batch_bytes;) {
		size_t want = batch_bytes - at < PIECE ? batch_bytes - at : PIECE;
		int n = SSL_read(ssl, to + at, (int)want);
		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return true;
}

static uint64_t receive_all(SSL *ssl, uint32_t *ret_crc)
{
	uint64_t bytes = 0;
	for (double end_s = now_s() + run_seconds; now_s() < end_s;) {
		for (unsigned i = 0; i < stream_count; i++) {
			struct stream *s = &streams[i];
			while (sem_wait(&s->idle))
				;
			CHECK(read_body(ssl, s->body));
			*ret_crc += crc32c(0, s->body, batch_bytes);
			if (s->offset + batch_bytes > CHUNK_BYTES) {
				s->chunk++;
				s->offset = 0;
			}
			if (directory)
				write_file(s);
			else
				write_rados(s);
			s->offset += batch_bytes;
			bytes += batch_bytes;
		}
	}
	for (unsigned i = 0; i < stream_count; i++)
		while (sem_wait(&streams[i].idle))
			;
	return bytes;
}

static void run_all(int fd, pid_t sender)
{
	pthread_t syncer;
	int dir = directory ? open(directory, O_RDONLY | O_DIRECTORY) : -1;
	SSL *ssl = conversation(fd, true);
	if (directory)
		CHECK(pthread_create(&syncer, NULL, sync_files, &dir) == 0);
	uint32_t crc = 0;
	double from_s = now_s(), cpu = cpu_s(RUSAGE_SELF);
	uint64_t bytes = receive_all(ssl, &crc);
	double seconds = now_s() - from_s;
	cpu = cpu_s(RUSAGE_SELF) - cpu;
	if (directory) {
		pthread_mutex_lock(&lock);
		syncing_ends = true;
		pthread_cond_signal(&wake);
		pthread_mutex_unlock(&lock);
		pthread_join(syncer, NULL);
		close(dir);
	}
	close(fd);
	SSL_free(ssl);
	waitpid(sender, NULL, 0);
	printf("{\"bytes\": %llu, \"seconds\": %.3f, \"mb_per_s\": %.1f, \"cpu_s_per_gb\": %.3f, "
	       "\"sender_cpu_s_per_gb\": %.3f, \"crc\": %u}\n",
		(unsigned long long)bytes, seconds, (double)bytes / 1e6 / seconds,
		cpu * 1e9 / (double)bytes, cpu_s(RUSAGE_CHILDREN) * 1e9 / (double)bytes, crc);
}

static int usage(void)
{
	fprintf(stderr,
		"usage: bench_bare [--seconds N] [--streams N] [--batch BYTES] rados CONF USER "
		"POOL | file DIRECTORY\n");
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"seconds", required_argument, NULL, 's'},
		{"streams", required_argument, NULL, 'n'}, {"batch", required_argument, NULL, 'b'},
		{NULL, 0, NULL, 0}};
	for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		double value = optarg ? atof(optarg) : 0;
		if (option == '?' || value <= 0)
			return usage();
		if (option == 's')
			run_seconds = value;
		else if (option == 'n')
			stream_count = (unsigned)value;
		else
			batch_bytes = (size_t)value;
	}
	char **what = argv + optind;
	int count = argc - optind;
	bool rados = count == 4 && strcmp(what[0], "rados") == 0;
	if (!rados && !(count == 2 && strcmp(what[0], "file") == 0))
		return usage();
	if (stream_count > STREAMS_MAX || batch_bytes > CHUNK_BYTES)
		return usage();
	make_certificates();
	pid_t sender;
	int fd = connected_sender(&sender); /* before there are threads */
	for (unsigned i = 0; i < stream_count; i++) {
		streams[i] = (struct stream){.number = i, .fd = -1, .body = malloc(batch_bytes)};
		CHECK(streams[i].body && sem_init(&streams[i].idle, 0, 1) == 0);
	}
	if (rados)
		open_rados(what);
	else
		directory = what[1];
	run_all(fd, sender);
	if (rados)
		close_rados();
	else
		remove_files();
	char command[96];
	snprintf(command, sizeof(command), "rm -rf %s", certificates);
	return system(command) == 0 ? 0 : 1;
}
