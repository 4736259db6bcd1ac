/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the conformance suite share: a model and a real store that are asked the same. */
#pragma once

#include "tests/unit/store/sequence.h"

struct conformance {
	struct probe model, real;
	char prefix[64]; /* of the objects' names, so that others may use the same pools */
	bool erasure_coded;
	char where[256]; /* what is being compared, for a failure's message */
};
extern struct conformance pair;

/* Attributes that the suite uses. */
extern const char *const conformance_attrs[5];
extern const struct store_guard guard_absent, guard_exists;

/* Puts the prefix before a name. */
void name_object(char *to, size_t size, const char *name);
/* Notes what is being compared. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Fails the test when the two values of `what` differ. */
void expect_same(const char *what, int64_t model, int64_t real);
/* Fails the test unless both stores hold the same object, or none. */
void compare_object(int pool, const char *name);
/* The same for a range of it. */
void compare_range(int pool, const char *name, uint64_t offset, size_t len);
/* Applies the same edits to both and compares the answers; the common one. */
int write_both(int pool, const char *name, const struct store_edits *edits);
/* An object with `size` bytes and perhaps an attribute; not there when `size` is negative. */
void prepare(int pool, const char *name, int64_t size, const struct store_attr *attr);

/* Every guard against every state of an object, for every kind of body. */
void conformance_guards(int pool);
/* The pair for random sequences. */
struct sequence_pair conformance_sequences(void);
/* What a store without room takes and refuses; the real one must have a limit that is soon
 * reached. */
void conformance_full(int pool);
