/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/steppe/complain.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "client/steppe.h"
#include "proto/refusal.h"
#include "tools/steppe/term.h"

static void print(const struct command_call *call, const char *what, const char *advice)
{
	bool colour = term_has_colour(stderr);
	fprintf(stderr, "%ssteppe%s%s:%s %s\n", colour ? "\x1b[1;31m" : "", call ? " " : "",
		call ? call->command->name : "", colour ? "\x1b[0m" : "", what);
	if (advice)
		fprintf(stderr, "  %stry:%s %s\n", colour ? "\x1b[1m" : "", colour ? "\x1b[0m" : "",
			advice);
}

void complain(const struct command_call *call, const char *what, const char *advice)
{
	term_clear_line(stderr);
	print(call, what, advice);
}

void complainf(const struct command_call *call, const char *advice, const char *format, ...)
{
	char what[512];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	complain(call, what, advice);
}

static const char *advice_for_refusal(int refusal)
{
	switch (refusal) {
	case REFUSAL_UNKNOWN_CAMERA:
		return "steppe camera list, or steppe camera add CAMERA";
	case REFUSAL_UNKNOWN_STREAM:
		return "steppe camera show CAMERA tells its streams; --stream chooses one";
	case REFUSAL_ROLE:
		return "a certificate with the role this needs: steppe pki issue DIR NAME --role "
		       "ROLE";
	case REFUSAL_CERTIFICATE:
		return "steppe pki list DIR tells which certificates are valid; steppe pki renew "
		       "DIR NAME";
	case REFUSAL_BUSY:
		return "stop the other recorder: steppe status --streams tells who it is";
	case REFUSAL_SUPERSEDED:
		return "one program a stream: another with the same certificate records it now; "
		       "steppe status --streams tells from where";
	case REFUSAL_NODE:
		return "steppe cluster status lists the nodes; one that is removed must be stopped "
		       "first";
	case REFUSAL_NAME:
		return "letters, digits, '.', '_' and '-', at most 64; steppe camera list tells "
		       "the names there are";
	case REFUSAL_VERSION:
	case REFUSAL_PROTOCOL:
		return "steppe version tells this program's, steppe status the daemon's: the older "
		       "one is to be "
		       "upgraded";
	case REFUSAL_FULL:
		return "make room in the store, or let retention do so; steppe status tells how "
		       "full it is";
	case REFUSAL_STORE:
	case REFUSAL_INTERNAL:
		return "the log of storaged on that machine: journalctl -u storaged";
	default:
		return NULL;
	}
}

static const char *advice_for_error(int error)
{
	switch (error) {
	case STEPPE_E_TLS:
		return "do the certificates in the configuration come from the cluster's own "
		       "authority, and are they in date?";
	case -ENODATA:
	case -ENOENT:
		return "steppe timeline CAMERA tells what there is";
	case STEPPE_E_DAMAGED:
		return "steppe fsck CAMERA tells what is damaged";
	default:
		break;
	}
	return exit_code_of(error) == ENDED_UNREACHABLE
		       ? "is storaged running at the addresses in the configuration?"
		       : NULL;
}

enum exit_code complain_refusal(
	const struct command_call *call, int refusal, const char *reason, const char *doing)
{
	const char *text = reason && reason[0] ? reason : steppe_refusal_text(refusal);
	complainf(call, advice_for_refusal(refusal), "%s: refused (%s): %s", doing,
		steppe_refusal_word(refusal), text);
	switch (refusal) {
	case REFUSAL_UNKNOWN_CAMERA:
	case REFUSAL_UNKNOWN_STREAM:
		return ENDED_NOTHING;
	case REFUSAL_GONE:
	case REFUSAL_DAMAGED:
		return ENDED_DAMAGED;
	default:
		return ENDED_REFUSED;
	}
}

enum exit_code complain_of(const struct command_call *call, int error, const char *doing)
{
	const char *reason = NULL;
	int refusal = error == STEPPE_E_REFUSED ? steppe_last_refusal(&reason) : 0;
	if (refusal)
		return complain_refusal(call, refusal, reason, doing);
	complainf(call, advice_for_error(error), "%s: %s", doing, steppe_error_text(error));
	return exit_code_of(error);
}
