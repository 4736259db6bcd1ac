/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/channel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "proto/refusal.h"

static void roles(void **state)
{
	(void)state;
	static const char *const words[] = {"node", "recorder", "investigator", "admin"};
	char text[CHANNEL_ROLES_TEXT];
	unsigned all = 0;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		unsigned role = channel_role_of(words[i]);
		assert_int_equal(role, 1u << i);
		channel_roles_text(role, text);
		assert_string_equal(text, words[i]);
		all |= role;
	}
	channel_roles_text(all, text);
	assert_string_equal(text, "node,recorder,investigator,admin");
	channel_roles_text(0, text);
	assert_string_equal(text, "");
	assert_int_equal(channel_role_of(""), 0);
	assert_int_equal(channel_role_of("Node"), 0);
	assert_int_equal(channel_role_of("node,admin"), 0);
}

/* A channel that keeps the one message sent on it. */
struct kept {
	struct channel ch;
	uint8_t type;
	uint32_t stream;
	uint8_t packed[256];
	size_t len;
};

static int keep(struct channel *ch, uint8_t type, uint32_t stream, const struct channel_meta *meta,
	const struct slice *body, size_t body_count)
{
	(void)body;
	struct kept *k = container_of(ch, struct kept, ch);
	assert_int_equal(body_count, 0);
	k->type = type;
	k->stream = stream;
	k->len = channel_meta_len(meta);
	assert_true(k->len <= sizeof(k->packed));
	channel_meta_pack(meta, k->packed);
	return 0;
}

static void check_refusal(const struct kept *k, uint32_t code, const char *reason)
{
	Steppe__Wire__Refused *m = steppe__wire__refused__unpack(NULL, k->len, k->packed);
	assert_non_null(m);
	assert_int_equal(k->type, FRAME_REFUSED);
	assert_int_equal(k->stream, 9);
	assert_int_equal(m->code, code);
	assert_string_equal(m->reason, reason);
	assert_int_equal(m->retry_after_ms, 1500);
	steppe__wire__refused__free_unpacked(m, NULL);
}

static void refusing(void **state)
{
	(void)state;
	static const struct channel_ops ops = {.send = keep};
	struct kept k = {.ch = {.ops = &ops, .queue_limit = 100}};
	assert_int_equal(channel_refuse(&k.ch, 9, REFUSAL_BUSY, NULL, 1500), 0);
	check_refusal(&k, REFUSAL_BUSY, refusal_text(REFUSAL_BUSY));
	assert_int_equal(channel_refuse(&k.ch, 9, REFUSAL_FULL, "pool 2 is full", 1500), 0);
	check_refusal(&k, REFUSAL_FULL, "pool 2 is full");
	/* a frame that is handed on keeps its bytes */
	uint8_t packed[sizeof(k.packed)];
	size_t len = k.len;
	memcpy(packed, k.packed, len);
	assert_int_equal(channel_send_packed(&k.ch, FRAME_REFUSED, 9, packed, len, NULL, 0), 0);
	check_refusal(&k, REFUSAL_FULL, "pool 2 is full");
	assert_false(channel_is_full(&k.ch));
	k.ch.queued_bytes = 100;
	assert_true(channel_is_full(&k.ch));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(roles), cmocka_unit_test(refusing)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
