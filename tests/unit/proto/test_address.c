/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void splitting(void **state)
{
	(void)state;
	static const struct {
		const char *address, *host, *port;
	} good[] = {{"node1:7400", "node1", "7400"}, {"10.0.0.1:0", "10.0.0.1", "0"},
		{"[fd00::1]:65535", "fd00::1", "65535"}, {":7400", "", "7400"},
		{"store-1.example:00080", "store-1.example", "00080"}};
	static const char *const bad[] = {"", ":", "node1", "node1:", "node1:65536", "node1:-1",
		"node1:7400x", "node1:123456", "fd00::1:7400", "[]:1", "[fd00::1:1", "fd00::1]:1",
		"node1: 1"};
	char host[ADDRESS_HOST_MAX], port[ADDRESS_PORT_MAX], long_name[300];
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(address_split(good[i].address, host, port), 0);
		assert_string_equal(host, good[i].host);
		assert_string_equal(port, good[i].port);
	}
	strcpy(host, "untouched");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(address_split(bad[i], host, port), -EINVAL);
	memset(long_name, 'a', sizeof(long_name));
	strcpy(long_name + ADDRESS_HOST_MAX, ":1");
	assert_int_equal(address_split(long_name, host, port), -EINVAL);
	assert_string_equal(host, "untouched");
	memset(long_name, 'a', sizeof(long_name));
	strcpy(long_name + ADDRESS_HOST_MAX - 1, ":1");
	assert_int_equal(address_split(long_name, host, port), 0);
}

static void texts(void **state)
{
	(void)state;
	char text[ADDRESS_TEXT_MAX];
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(7400)};
	struct sockaddr_in6 v6 = {
		.sin6_family = AF_INET6, .sin6_port = htons(1), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr other = {.sa_family = AF_UNIX};
	v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address_text((struct sockaddr *)&v4, text);
	assert_string_equal(text, "127.0.0.1:7400");
	address_text((struct sockaddr *)&v6, text);
	assert_string_equal(text, "[::1]:1");
	address_text(&other, text);
	assert_string_equal(text, "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(splitting), cmocka_unit_test(texts)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
