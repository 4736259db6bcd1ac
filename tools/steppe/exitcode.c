/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/steppe/exitcode.h"

#include <errno.h>
#include <stddef.h>

#include "client/steppe.h"

const struct exit_entry exit_entries[] = {
#define EXIT_ENTRY(name, number, meaning, advice) {number, #name, meaning, advice},
	EXIT_CODES(EXIT_ENTRY)
#undef EXIT_ENTRY
		{0, NULL, NULL, NULL}};

enum exit_code exit_code_of(int error)
{
	switch (error) {
	case 0:
		return ENDED_OK;
	case STEPPE_E_CONFIG:
	case -EINVAL:
		return ENDED_USAGE;
	case STEPPE_E_REFUSED:
		return ENDED_REFUSED;
	case -ENODATA:
	case -ENOENT:
		return ENDED_NOTHING;
	case STEPPE_E_DAMAGED:
	case STEPPE_E_CHECKSUM:
	case STEPPE_E_GONE:
		return ENDED_DAMAGED;
	case STEPPE_E_TLS:
	case STEPPE_E_CLOSED:
	case -ECONNREFUSED:
	case -ECONNRESET:
	case -EHOSTUNREACH:
	case -ENETUNREACH:
	case -ETIMEDOUT:
		return ENDED_UNREACHABLE;
	case -ECANCELED:
	case -EINTR:
		return ENDED_INTERRUPTED;
	default:
		return ENDED_FAILURE;
	}
}
