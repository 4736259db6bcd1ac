/* SPDX-License-Identifier: Apache-2.0 */
/* What every first frame is judged by. */
#include "base/clock.h"
#include "proto/names.h"
#include "storaged/session/machines.h"

void *conn_unpack(
	struct conn *conn, const struct frame *frame, const ProtobufCMessageDescriptor *type)
{
	void *meta = protobuf_c_message_unpack(type, NULL, frame->header.meta_len, frame->meta);
	if (!meta)
		conn_refuse(
			conn, frame->header.stream, REFUSAL_PROTOCOL, "the message cannot be read");
	return meta;
}

bool conn_judge_window(
	struct conn *conn, uint32_t stream, const char *name, int64_t from_us, int64_t to_us)
{
	if (stream_name_split(name, NULL, NULL)) {
		conn_refuse(conn, stream, REFUSAL_NAME, NULL);
		return false;
	}
	if (!wall_is_valid((struct wall){from_us}) || !wall_is_valid((struct wall){to_us}) ||
		from_us >= to_us) {
		conn_refuse(conn, stream, REFUSAL_TIME,
			"the window must begin before it ends, in the years 1970 to 9999");
		return false;
	}
	return true;
}
