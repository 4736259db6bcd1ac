/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int address_split(
	const char *address, char ret_host[ADDRESS_HOST_MAX], char ret_port[ADDRESS_PORT_MAX])
{
	const char *host = address, *colon = strrchr(address, ':');
	if (!colon)
		return -EINVAL;
	size_t host_len = (size_t)(colon - address), port_len = strlen(colon + 1);
	if (host[0] == '[') {
		if (host_len < 3 || colon[-1] != ']')
			return -EINVAL;
		host++;
		host_len -= 2;
	} else if (memchr(host, ':', host_len)) {
		return -EINVAL; /* where a bare IPv6 address ends cannot be told */
	}
	if (host_len >= ADDRESS_HOST_MAX || port_len == 0 || port_len >= ADDRESS_PORT_MAX ||
		strspn(colon + 1, "0123456789") != port_len || atoi(colon + 1) > 65535)
		return -EINVAL;
	memcpy(ret_host, host, host_len);
	ret_host[host_len] = '\0';
	memcpy(ret_port, colon + 1, port_len + 1);
	return 0;
}

void address_text(const struct sockaddr *address, char text[ADDRESS_TEXT_MAX])
{
	char host[INET6_ADDRSTRLEN];
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;
		inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		snprintf(text, ADDRESS_TEXT_MAX, "%s:%u", host, ntohs(in->sin_port));
	} else if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)(const void *)address;
		inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof(host));
		snprintf(text, ADDRESS_TEXT_MAX, "[%s]:%u", host, ntohs(in->sin6_port));
	} else {
		snprintf(text, ADDRESS_TEXT_MAX, "?");
	}
}
