/* SPDX-License-Identifier: Apache-2.0 */
#include "base/errors.h"

#include <string.h>

const char *err_text(int code)
{
	switch (code) {
	case 0:
		return "success";
	case ERR_GUARD:
		return "guard failed";
	case ERR_UNKNOWN:
		return "outcome unknown";
	case ERR_FORMAT:
		return "malformed";
	case ERR_CHECKSUM:
		return "checksum mismatch";
	case ERR_TRUNCATED:
		return "truncated";
	case ERR_LIMIT:
		return "beyond a limit";
	case ERR_FENCED:
		return "owned by another daemon";
	case ERR_REFUSED:
		return "refused";
	case ERR_CLOSED:
		return "closed";
	case ERR_DAMAGED:
		return "damaged";
	case ERR_GONE:
		return "gone";
	case ERR_VERSION:
		return "unknown version";
	case ERR_CONFIG:
		return "bad configuration";
	case ERR_TLS:
		return "tls failure";
	default:
		/* strerrordesc_np is thread-safe and untranslated, which log readers rely on */
		return code < 0 && strerrordesc_np(-code) ? strerrordesc_np(-code)
							  : "unknown error";
	}
}
