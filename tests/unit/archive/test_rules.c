/* SPDX-License-Identifier: Apache-2.0 */
/* That the random runs bite: with a rule of PROTOCOL switched off some seed finds a broken promise,
 * soon. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "storaged/archive/rules.h"
#include "tests/unit/archive/chaos.h"

#define SEEDS_MAX 200
#define SECONDS   240

/* A broken rule may also stop the process at a CHECK, so a run gets a process of its own. */
static bool finds_something(uint64_t seed, char *ret_problem, size_t size)
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (!child) {
		struct chaos_result r;
		close(ends[0]);
		dup2(ends[1], STDERR_FILENO);
		chaos_run(seed, SECONDS, &r);
		if (r.problem[0])
			dprintf(ends[1], "%s", r.problem);
		_exit(r.problem[0] ? 1 : 0);
	}
	close(ends[1]);
	size_t len = 0;
	for (ssize_t n;
		len < size - 1 && (n = read(ends[0], ret_problem + len, size - 1 - len)) > 0;)
		len += (size_t)n;
	ret_problem[len] = 0;
	close(ends[0]);
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	return status != 0;
}

static void must_be_found(unsigned rule, const char *name)
{
	char words[1024];
	archive_rules_broken = rule;
	for (uint64_t seed = 1; seed <= SEEDS_MAX; seed++)
		if (finds_something(seed, words, sizeof(words))) {
			archive_rules_broken = 0;
			print_message("without %s: %s\n", name, words);
			return;
		}
	archive_rules_broken = 0;
	fail_msg("%d seeds notice nothing without %s", SEEDS_MAX, name);
}

static void test_all_rules_hold(void **state)
{
	(void)state;
	char words[1024];
	for (uint64_t seed = 1; seed <= 10; seed++)
		if (finds_something(seed, words, sizeof(words)))
			fail_msg("%s", words);
}

static void test_epoch_guard(void **state)
{
	(void)state;
	must_be_found(RULE_EPOCH_GUARD, "the epoch guard");
}

static void test_length_guard(void **state)
{
	(void)state;
	must_be_found(RULE_LENGTH_GUARD, "the length guard");
}

static void test_acknowledge_settled(void **state)
{
	(void)state;
	must_be_found(RULE_ACK_SETTLED, "waiting for the outcome before acknowledging");
}

static void test_fence_intents(void **state)
{
	(void)state;
	must_be_found(RULE_FENCE_INTENTS, "fencing every intent");
}

static void test_seal_before_index(void **state)
{
	(void)state;
	must_be_found(RULE_SEAL_FIRST, "sealing before indexing");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_rules_hold),
		cmocka_unit_test(test_epoch_guard),
		cmocka_unit_test(test_length_guard),
		cmocka_unit_test(test_acknowledge_settled),
		cmocka_unit_test(test_fence_intents),
		cmocka_unit_test(test_seal_before_index),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
