/* SPDX-License-Identifier: Apache-2.0 */
/* What the two files of the index share. */
#pragma once

/* LMDB's code as ours: ERR_LIMIT for a map that is too small. */
int local_kv_error(int rc);
