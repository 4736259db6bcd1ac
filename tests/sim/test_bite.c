/* SPDX-License-Identifier: Apache-2.0 */
/* That the simulator bites: with a rule of PROTOCOL switched off some seed finds a broken promise,
 * and with all of them on none of the same seeds does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "storaged/archive/rules.h"
#include "tests/sim/world.h"

#define SEEDS_MAX 2000
#define SEEDS_ON  40 /* with all rules on; test sim/some runs more */

unsigned archive_rules_broken;

/* A broken rule may also stop the process at a CHECK, or make it spin, so a run gets a process of
 * its own. */
static bool finds_something(uint64_t seed, char *ret_problem, size_t size)
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	fflush(NULL);
	pid_t child = fork();
	assert_true(child >= 0);
	if (!child) {
		const struct world_options options = {.seed = seed};
		struct world_result r;
		close(ends[0]);
		dup2(ends[1], STDERR_FILENO);
		alarm(60);
		world_run(&options, &r);
		if (r.problem[0])
			dprintf(ends[1], "seed %llu: %s", (unsigned long long)seed, r.problem);
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

static void must_be_found(unsigned rule)
{
	char words[1024];
	bool found = false;
	uint64_t seed = 0;
	archive_rules_broken = rule;
	while (!found && ++seed <= SEEDS_MAX)
		found = finds_something(seed, words, sizeof(words));
	archive_rules_broken = 0;
	if (!found)
		fail_msg("%d seeds notice nothing", SEEDS_MAX);
	print_message("after %llu seeds: %s\n", (unsigned long long)seed, words);
}

static void test_all_rules_on(void **state)
{
	(void)state;
	char words[1024];
	for (uint64_t seed = 1; seed <= SEEDS_ON; seed++)
		if (finds_something(seed, words, sizeof(words)))
			fail_msg("%s", words);
}

#define WITHOUT(name, rule)                                                                        \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		must_be_found(rule);                                                               \
	}

WITHOUT(test_without_epoch_guard, RULE_EPOCH_GUARD)
WITHOUT(test_without_length_guard, RULE_LENGTH_GUARD)
WITHOUT(test_acknowledging_before_commit, RULE_ACK_SETTLED)
WITHOUT(test_an_intended_chunk_unfenced, RULE_FENCE_INTENTS)
WITHOUT(test_index_before_seal, RULE_SEAL_FIRST)
WITHOUT(test_a_partition_without_epoch, RULE_PARTITION_EPOCH)
WITHOUT(test_without_husks, RULE_HUSK)
WITHOUT(test_going_on_unsettled, RULE_SETTLED)
WITHOUT(test_a_take_unconfirmed, RULE_TAKE_CONFIRMED)
WITHOUT(test_a_stale_owner_answers, RULE_OWNER_READS)
WITHOUT(test_a_stale_owner_opens, RULE_OPEN_READS)
WITHOUT(test_a_chunk_before_its_intent, RULE_INTENT_FIRST)
WITHOUT(test_the_next_chunk_does_not_wait, RULE_PREFIX)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_rules_on),
		cmocka_unit_test(test_without_epoch_guard),
		cmocka_unit_test(test_without_length_guard),
		cmocka_unit_test(test_acknowledging_before_commit),
		cmocka_unit_test(test_an_intended_chunk_unfenced),
		cmocka_unit_test(test_index_before_seal),
		cmocka_unit_test(test_a_partition_without_epoch),
		cmocka_unit_test(test_without_husks),
		cmocka_unit_test(test_going_on_unsettled),
		cmocka_unit_test(test_a_take_unconfirmed),
		cmocka_unit_test(test_a_stale_owner_answers),
		cmocka_unit_test(test_a_stale_owner_opens),
		cmocka_unit_test(test_a_chunk_before_its_intent),
		cmocka_unit_test(test_the_next_chunk_does_not_wait),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
