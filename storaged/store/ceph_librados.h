/* SPDX-License-Identifier: Apache-2.0 */
/* librados, for the two files that call it: ceph_conn.c (connecting, listing, space) and
 * ceph_ask.c (reads and writes). No other file includes this. */
#pragma once

#include <assert.h>
#include <rados/librados.h>

#include "storaged/store/ceph_conn.h"

/* The size of an object as guards can compare it: fixed-width hex. The name is longer than any the
 * store's callers may use. Why it is there: ceph_op.h. */
#define SIZE_ATTR   "steppe.object-size"
#define SIZE_DIGITS 8
static_assert(sizeof(SIZE_ATTR) > STORE_ATTR_NAME_MAX + 1, "the callers' names must differ");
static_assert(STORE_OBJECT_MAX <= UINT32_MAX, "eight digits hold every size");
