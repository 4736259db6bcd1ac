/* SPDX-License-Identifier: Apache-2.0 */
/* The machines that a first frame may begin. Each takes the frame (valid during the call), attaches
 * a request or refuses, and from then on lives by itself. Private to the session room. */
#pragma once

#include "storaged/session/conn.h"
#include "storaged/session/service.h"

/* A service's insides, for its machines. */
struct service {
	struct service_config config;
	struct list conns;
	unsigned conn_count;
	struct list ingests;   /* every stream being recorded */
	struct list snapshots; /* oldest first */
	unsigned snapshot_count;
	struct loop_timer snapshot_timer;
	bool stopping; /* no new recordings */
	bool closing;  /* nothing new at all */
};

void ingest_begin(struct conn *conn, const struct frame *frame);
void ingest_stop_all(struct service *s);
void looking_timeline(struct conn *conn, const struct frame *frame);
void looking_days(struct conn *conn, const struct frame *frame);
void retrieve_begin(struct conn *conn, const struct frame *frame);
void snapshot_begin(struct conn *conn, const struct frame *frame);
void snapshot_read(struct conn *conn, const struct frame *frame);
void snapshot_drop_all(struct service *s);
void admin_camera_put(struct conn *conn, const struct frame *frame);
void admin_camera_get(struct conn *conn, const struct frame *frame);
void admin_camera_list(struct conn *conn, const struct frame *frame);
void admin_camera_remove(struct conn *conn, const struct frame *frame);
void policy_get(struct conn *conn, const struct frame *frame);
void policy_edit(struct conn *conn, const struct frame *frame);
void admin_status_begin(struct conn *conn, const struct frame *frame);
void cluster_map_begin(struct conn *conn, const struct frame *frame);
void cluster_node_set(struct conn *conn, const struct frame *frame);
void verify_begin(struct conn *conn, const struct frame *frame);

/* Frames a first frame's meta must unpack to; NULL after refusing. Freed with
 * protobuf_c_message_free_unpacked. */
void *conn_unpack(
	struct conn *conn, const struct frame *frame, const ProtobufCMessageDescriptor *type);
/* A stream's name and a window are what they should be; else refuses and returns false. */
bool conn_judge_window(
	struct conn *conn, uint32_t stream, const char *name, int64_t from_us, int64_t to_us);

#define AUDIT_TEXT 160
/* `text` (which may be NULL) in quotes, with what could forge a line made harmless, cut to fit;
 * returns `to`. */
const char *audit_text(char to[AUDIT_TEXT], const char *text);
/* One line an act, for the record of who saw and changed what. */
void audit(const struct conn *conn, const char *act, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
