/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes between a link's socket, its TLS conversation, its reader and its queue. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/errors.h"
#include "proto/link_state.h"

#define GATHER_PIECE                                                                               \
	4096u /* pieces up to here share a record with others; larger ones are encrypted where     \
		 they lie */
#define GATHER_MAX 16384u /* a record */
#define DROP_BYTES (1u << 20)

/* --- the socket */

static void on_poll(uv_poll_t *poll, int status, int events);

struct link_socket *link_socket_new(struct link *l, int fd)
{
	struct link_socket *s = calloc(1, sizeof(*s));
	if (!s || uv_poll_init(&l->loop->uv, &s->poll, fd) < 0) {
		close(fd);
		free(s);
		return NULL;
	}
	s->fd = fd;
	s->link = l;
	return s;
}

static void on_socket_closed(uv_handle_t *handle)
{
	struct link_socket *s = container_of((uv_poll_t *)handle, struct link_socket, poll);
	if (s->last)
		link_discard(s->last);
	free(s);
}

void link_socket_free(struct link_socket **slot)
{
	struct link_socket *s = *slot;
	*slot = NULL;
	if (!s)
		return;
	s->link = NULL;
	uv_close((uv_handle_t *)&s->poll, on_socket_closed);
	close(s->fd);
}

/* A user's pause holds back frames alone: handshakes go on, and an end is waited for. */
static bool wants_input(const struct link *l)
{
	return l->state != LINK_DIALING && (l->state != LINK_OPEN || !l->paused);
}

static bool has_output(const struct link *l)
{
	return l->state == LINK_DIALING || !list_empty(&l->queue) || tls_unsent(l->tls);
}

void link_watch(struct link *l)
{
	struct link_socket *s = l->socket;
	if (!s)
		return;
	/* a queue whose turn is deferred needs no word from the socket */
	bool output = has_output(l) && list_empty(&l->write_task.node);
	int events = (wants_input(l) ? UV_READABLE : 0) | (output ? UV_WRITABLE : 0);
	if (events == s->events)
		return;
	s->events = events;
	int rc = events ? uv_poll_start(&s->poll, events, on_poll) : uv_poll_stop(&s->poll);
	if (rc < 0)
		link_end(l, rc, "the socket cannot be watched");
}

/* --- in */

/* The peer's bytes end, or cannot be read. */
static void input_ended(struct link *l, ssize_t rc)
{
	if (rc < 0)
		link_end(l, (int)rc, tls_words(l->tls));
	else if (frame_reader_inside(&l->reader))
		link_end(l, ERR_TRUNCATED, "the peer ended inside a frame");
	else if (l->state == LINK_GREETING)
		link_end(l, ERR_CLOSED, "the peer ended before the greeting");
	else
		link_end(l, 0, "closed by the peer");
}

static void read_frames(struct link *l)
{
	size_t bytes = 0;
	unsigned frames = 0;
	while (l->state == LINK_GREETING || (l->state == LINK_OPEN && !l->paused)) {
		if (bytes >= LINK_TURN_BYTES || frames >= LINK_TURN_FRAMES) {
			if (list_empty(&l->read_task.node))
				loop_defer(&l->loop->loop, &l->read_task);
			break;
		}
		uint8_t *space;
		size_t len;
		frame_reader_space(&l->reader, &space, &len);
		ssize_t n = tls_read(l->tls, space, len);
		if (n == -EAGAIN)
			break;
		if (n <= 0) {
			input_ended(l, n);
			return;
		}
		bytes += (size_t)n;
		int rc = frame_reader_add(&l->reader, (size_t)n);
		if (rc < 0) {
			link_bad_frame(l, rc);
			return;
		}
		if (rc == 1) {
			frames++;
			link_take_frame(l);
		}
	}
	if (bytes) {
		l->heard = loop_now(&l->loop->loop);
		l->unanswered = 0;
	}
}

static void shake(struct link *l)
{
	int rc = tls_handshake(l->tls);
	if (rc == 0)
		link_secured(l);
	else if (rc != -EAGAIN)
		link_finish(l, rc, tls_words(l->tls)); /* the alert that says why is queued */
}

/* After our end nothing matters but the peer's: its bytes are not even copied out of the kernel. */
static void drop_input(struct link *l)
{
	ssize_t n = recv(l->socket->fd, NULL, DROP_BYTES, MSG_TRUNC);
	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)))
		return;
	if (l->state == LINK_LINGER || l->status)
		link_end(l, l->status, l->words);
	else
		link_end(l, n < 0 ? -errno : ERR_CLOSED,
			"the peer ended before it took what was queued");
}

static void receive(struct link *l)
{
	if (l->state == LINK_HANDSHAKE)
		shake(l);
	if (l->state == LINK_GREETING || l->state == LINK_OPEN)
		read_frames(l);
	else if (l->state == LINK_CLOSING || l->state == LINK_LINGER)
		drop_input(l);
}

/* --- out */

static void frame_free(struct link_frame *f)
{
	list_remove(&f->node);
	for (size_t i = 0; i < f->body_count; i++)
		slice_drop(&f->body[i]);
	free(f);
}

void link_drop_queue(struct link *l)
{
	while (!list_empty(&l->queue))
		frame_free(list_entry(l->queue.next, struct link_frame, node));
	l->queue_bytes = l->ch.queued_bytes = 0;
}

/* The next bytes to be encrypted; false when there are none. */
static bool front(struct link *l, const uint8_t **ret_data, size_t *ret_len)
{
	while (!list_empty(&l->queue)) {
		struct link_frame *f = list_entry(l->queue.next, struct link_frame, node);
		for (; f->piece <= f->body_count; f->piece++, f->at = 0) {
			const uint8_t *data =
				f->piece ? f->body[f->piece - 1].data : link_frame_head(f);
			size_t len = f->piece ? f->body[f->piece - 1].len : f->head_len;
			if (f->at == len)
				continue;
			*ret_data = data + f->at;
			*ret_len = len - f->at;
			return true;
		}
		frame_free(f);
	}
	return false;
}

static void advance(struct link *l, size_t len)
{
	struct link_frame *f = list_entry(l->queue.next, struct link_frame, node);
	f->at += len;
	l->queue_bytes -= len;
}

/* Encrypts small pieces together, so that a burst of answers costs one record and not one each. */
static ssize_t encrypt_small(struct link *l)
{
	uint8_t gathered[GATHER_MAX];
	size_t at = 0, len;
	const uint8_t *data;
	while (front(l, &data, &len) && len <= GATHER_PIECE && at + len <= sizeof(gathered)) {
		memcpy(gathered + at, data, len);
		at += len;
		advance(l, len);
	}
	/* there was room for a record before the first piece was taken, so all of it goes */
	return tls_write(l->tls, gathered, at);
}

/* Moves the queue into the outgoing buffer until that has enough for a write: bytes moved or a
 * negative code. */
static ssize_t encrypt(struct link *l)
{
	size_t before = l->queue_bytes, len;
	const uint8_t *data;
	ssize_t n = 1;
	while (n > 0 && tls_unsent(l->tls) < TLS_WRITE_BYTES && front(l, &data, &len)) {
		if (len <= GATHER_PIECE) {
			n = encrypt_small(l);
		} else {
			n = tls_write(l->tls, data, len);
			if (n > 0)
				advance(l, (size_t)n);
		}
	}
	return n < 0 ? n : (ssize_t)(before - l->queue_bytes);
}

static void told_drained(struct link *l)
{
	l->ch.queued_bytes = l->queue_bytes + tls_unsent(l->tls);
	if (l->was_full && l->state == LINK_OPEN && l->ch.queued_bytes < l->ch.queue_limit / 2) {
		l->was_full = false;
		l->ch.user->drained(&l->ch, l->ch.user);
	}
}

static void transmit(struct link *l)
{
	size_t bytes = 0;
	int rc = 0;
	list_remove(&l->write_task.node);
	while (rc == 0 && bytes < LINK_TURN_BYTES) {
		ssize_t n = encrypt(l);
		if (n < 0) {
			link_end(l, (int)n, tls_words(l->tls));
			return;
		}
		bytes += (size_t)n;
		if (!tls_unsent(l->tls))
			break;
		rc = tls_flush(l->tls);
	}
	if (rc < 0 && rc != -EAGAIN) {
		link_end(l, rc, tls_words(l->tls));
		return;
	}
	if (l->state == LINK_CLOSING && !has_output(l)) {
		tls_say_end(l->tls);
		rc = tls_flush(l->tls);
		if (rc == 0)
			link_all_sent(l);
	}
	told_drained(l);
}

/* --- when */

/* Nobody further up the stack uses the link. A conversation that is over gives its buffers back at
 * once: thousands may end in one turn of the loop. */
static void settle(struct link *l)
{
	if (l->state == LINK_ENDED)
		tls_free(&l->tls);
	else
		link_watch(l);
}

void link_on_read_task(struct loop_task *task)
{
	struct link *l = container_of(task, struct link, read_task);
	receive(l);
	if (l->state != LINK_ENDED && has_output(l))
		transmit(l);
	settle(l);
}

void link_on_write_task(struct loop_task *task)
{
	struct link *l = container_of(task, struct link, write_task);
	transmit(l);
	settle(l);
}

/* libuv stops watching a socket with an error. What the peer sent before is still read, and then
 * the error itself. */
static int socket_failed(struct link *l)
{
	l->socket->events = 0;
	if (wants_input(l))
		return UV_READABLE;
	int error = 0;
	socklen_t size = sizeof(error);
	if (getsockopt(l->socket->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 || !error)
		error = ECONNRESET;
	link_end(l, -error, strerror(error));
	return 0;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct link *l = container_of(poll, struct link_socket, poll)->link;
	if (!l)
		return;
	if (l->state == LINK_DIALING) {
		link_dial_writable(l);
		return;
	}
	if (status < 0)
		events = socket_failed(l);
	bool full = l->state != LINK_ENDED && tls_unsent(l->tls) && !(events & UV_WRITABLE);
	if (events & UV_READABLE) {
		tls_readable(l->tls);
		receive(l);
	}
	if (l->state != LINK_ENDED && !full)
		transmit(l);
	settle(l);
}
