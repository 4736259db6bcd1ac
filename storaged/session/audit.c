/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"
#include "storaged/session/machines.h"

const char *audit_text(char to[AUDIT_TEXT], const char *text)
{
	size_t at = 0;
	to[at++] = '"';
	for (const char *c = text ? text : ""; *c && at < AUDIT_TEXT - 2; c++) {
		unsigned char byte = (unsigned char)*c;
		to[at++] = byte < 0x20 || byte == 0x7f ? ' ' : byte == '"' ? '\'' : *c;
	}
	to[at++] = '"';
	to[at] = '\0';
	return to;
}

void audit(const struct conn *conn, const char *act, const char *format, ...)
{
	char what[512];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	log_info("audit act=%s who=%s address=%s %s", act, conn->ch->identity.name,
		conn->ch->identity.address, what);
}
