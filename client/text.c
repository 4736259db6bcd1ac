/* SPDX-License-Identifier: Apache-2.0 */
/* Words for people. */
#include <assert.h>

#include "base/check.h"
#include "base/errors.h"
#include "client/steppe.h"
#include "client/version.h"
#include "proto/refusal.h"

static_assert(STEPPE_E_FORMAT == ERR_FORMAT && STEPPE_E_CHECKSUM == ERR_CHECKSUM &&
		      STEPPE_E_LIMIT == ERR_LIMIT && STEPPE_E_REFUSED == ERR_REFUSED &&
		      STEPPE_E_CLOSED == ERR_CLOSED && STEPPE_E_DAMAGED == ERR_DAMAGED &&
		      STEPPE_E_GONE == ERR_GONE && STEPPE_E_CONFIG == ERR_CONFIG &&
		      STEPPE_E_TLS == ERR_TLS,
	"the installed header repeats the codes");

const char *steppe_error_text(int code)
{
	return err_text(code);
}

const char *steppe_refusal_word(int refusal)
{
	return refusal_word(refusal);
}

const char *steppe_refusal_text(int refusal)
{
	return refusal_text(refusal);
}

const char *steppe_version(void)
{
	return STEPPE_VERSION_TEXT;
}

const char *steppe_gap_text(int cause)
{
	static const char *const text[] = {
		[STEPPE_GAP_NONE] = "none",
		[STEPPE_GAP_UNKNOWN] = "unknown",
		[STEPPE_GAP_CAMERA_OFF] = "camera off",
		[STEPPE_GAP_NETWORK] = "network",
		[STEPPE_GAP_RECORDER_STOPPED] = "recorder stopped",
		[STEPPE_GAP_REFUSED] = "refused",
		[STEPPE_GAP_THINNED] = "thinned",
		[STEPPE_GAP_EXPIRED] = "expired",
		[STEPPE_GAP_DAMAGED] = "damaged",
	};
	return cause >= 0 && (size_t)cause < ARRAY_LEN(text) ? text[cause] : "unknown";
}
