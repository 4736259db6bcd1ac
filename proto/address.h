/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses as people and configurations write them: "host:port", "10.0.0.1:7400",
 * "[fd00::1]:7400", ":7400" (every address of the machine). Text only: names are resolved
 * elsewhere. */
#pragma once

#include <stddef.h>

#define ADDRESS_HOST_MAX 254 /* with its NUL */
#define ADDRESS_PORT_MAX 6
#define ADDRESS_TEXT_MAX 64 /* enough for any numeric address with port and NUL */

struct sockaddr;

/* Splits; the host is empty for ":port". -EINVAL when there is no port from 0 to 65535, or the host
 * does not fit. */
int address_split(
	const char *address, char ret_host[ADDRESS_HOST_MAX], char ret_port[ADDRESS_PORT_MAX]);
/* Writes the numeric form of an IPv4 or IPv6 address; "?" for another family. */
void address_text(const struct sockaddr *address, char text[ADDRESS_TEXT_MAX]);
