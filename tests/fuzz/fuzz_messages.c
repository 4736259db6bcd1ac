/* SPDX-License-Identifier: Apache-2.0 */
/* The meta part of every message, named by the first byte: what unpacks must pack, and unpack again
 * to the same bytes. The library also takes unknown fields of number 0, if their tag has more bytes
 * than it needs, and refuses what it packs of these. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "proto/steppe.pb-c.h"
#include "tests/fuzz/fuzz.h"

static const ProtobufCMessageDescriptor *const messages[] = {
	&steppe__wire__hello__descriptor,
	&steppe__wire__refused__descriptor,
	&steppe__wire__redirect__descriptor,
	&steppe__wire__lane_open__descriptor,
	&steppe__wire__open__descriptor,
	&steppe__wire__lane_opened__descriptor,
	&steppe__wire__opened__descriptor,
	&steppe__wire__init__descriptor,
	&steppe__wire__append__descriptor,
	&steppe__wire__ack__descriptor,
	&steppe__wire__gap__descriptor,
	&steppe__wire__close__descriptor,
	&steppe__wire__closed__descriptor,
	&steppe__wire__timeline__descriptor,
	&steppe__wire__timeline_reply__descriptor,
	&steppe__wire__days__descriptor,
	&steppe__wire__days_reply__descriptor,
	&steppe__wire__fetch__descriptor,
	&steppe__wire__fetch_init__descriptor,
	&steppe__wire__fragment__descriptor,
	&steppe__wire__fetch_credit__descriptor,
	&steppe__wire__fetch_end__descriptor,
	&steppe__wire__snapshot__descriptor,
	&steppe__wire__snapshot_chunk__descriptor,
	&steppe__wire__snapshot_end__descriptor,
	&steppe__wire__read__descriptor,
	&steppe__wire__read_reply__descriptor,
	&steppe__wire__camera__descriptor,
	&steppe__wire__camera_put__descriptor,
	&steppe__wire__camera_put_reply__descriptor,
	&steppe__wire__camera_get__descriptor,
	&steppe__wire__camera_reply__descriptor,
	&steppe__wire__camera_list__descriptor,
	&steppe__wire__camera_list_reply__descriptor,
	&steppe__wire__camera_remove__descriptor,
	&steppe__wire__camera_removed__descriptor,
	&steppe__wire__status__descriptor,
	&steppe__wire__status_reply__descriptor,
	&steppe__wire__fsck__descriptor,
	&steppe__wire__fsck_finding__descriptor,
	&steppe__wire__fsck_end__descriptor,
	&steppe__wire__stop__descriptor,
	&steppe__wire__ping__descriptor,
	&steppe__wire__pong__descriptor,
	&steppe__wire__cluster__descriptor,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	const ProtobufCMessageDescriptor *descriptor = messages[data[0] % ARRAY_LEN(messages)];
	ProtobufCMessage *message = protobuf_c_message_unpack(descriptor, NULL, size - 1, data + 1);
	if (!message)
		return 0;
	size_t len = protobuf_c_message_get_packed_size(message);
	uint8_t *packed = malloc(len + 1), *again = malloc(len + 1);
	if (packed && again) {
		CHECK(protobuf_c_message_pack(message, packed) == len);
		ProtobufCMessage *second = protobuf_c_message_unpack(descriptor, NULL, len, packed);
		if (second) {
			CHECK(protobuf_c_message_get_packed_size(second) == len);
			CHECK(protobuf_c_message_pack(second, again) == len);
			CHECK(!memcmp(packed, again, len));
			protobuf_c_message_free_unpacked(second, NULL);
		}
	}
	free(packed);
	free(again);
	protobuf_c_message_free_unpacked(message, NULL);
	return 0;
}
