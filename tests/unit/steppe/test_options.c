/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "client/steppe.h"
#include "tools/steppe/command.h"
#include "tools/steppe/options.h"

#define NOW INT64_C(1795470000000000)

struct args {
	bool flag;
	const char *word;
	struct option_list list;
	struct wall time;
	int64_t duration;
	uint64_t size, rate;
	uint32_t count;
	int choice;
	uint64_t volume;
	double decimal;
};

static const char *const words[] = {"one", "two", NULL};
static const struct option table[] = {
	{"flag", 'f', OPTION_FLAG, NULL, NULL, NULL, offsetof(struct args, flag), ""},
	{"word", 'w', OPTION_STRING, "TEXT", "nothing", NULL, offsetof(struct args, word), ""},
	{"list", 'l', OPTION_LIST, "TEXT", "first", NULL, offsetof(struct args, list), ""},
	{"time", 't', OPTION_TIME, "TIME", NULL, NULL, offsetof(struct args, time), ""},
	{"duration", 0, OPTION_DURATION, "TIME", "90s", NULL, offsetof(struct args, duration), ""},
	{"size", 0, OPTION_SIZE, "BYTES", "4M", NULL, offsetof(struct args, size), ""},
	{"rate", 0, OPTION_RATE, "BITS", "4M", NULL, offsetof(struct args, rate), ""},
	{"count", 'n', OPTION_COUNT, "N", "7", NULL, offsetof(struct args, count), ""},
	{"choice", 0, OPTION_CHOICE, "WORD", "two", words, offsetof(struct args, choice), ""},
	{"volume", 0, OPTION_VOLUME, "BYTES", "18T", NULL, offsetof(struct args, volume), ""},
	{"decimal", 0, OPTION_DECIMAL, "N", "1.4", NULL, offsetof(struct args, decimal), ""},
	{.name = NULL},
};

static struct args defaults(void)
{
	struct args a = {.flag = false};
	options_defaults(table, &a, (struct wall){NOW});
	return a;
}

static void test_defaults(void **state)
{
	(void)state;
	struct args a = defaults();
	assert_false(a.flag);
	assert_string_equal(a.word, "nothing");
	assert_int_equal(a.list.count, 1);
	assert_int_equal(a.time.us, -1);
	assert_int_equal(a.duration, 90 * US_PER_SECOND);
	assert_int_equal(a.size, 4u << 20);
	assert_int_equal(a.rate, 4000000);
	assert_int_equal(a.count, 7);
	assert_int_equal(a.choice, 1);
	assert_int_equal(a.volume, 18000000000000);
	assert_float_equal(a.decimal, 1.4, 0);
}

static int set(struct args *a, const char *name, const char *text)
{
	char why[128], copy[128];
	static char kept[8][128];
	static unsigned next;
	(void)copy;
	char *p = kept[next++ % 8];
	strcpy(p, text);
	return option_set(
		option_find(table, name, strlen(name)), a, p, (struct wall){NOW}, why, sizeof(why));
}

static void test_values(void **state)
{
	(void)state;
	struct args a = defaults();
	assert_int_equal(set(&a, "time", "-15m"), 0);
	assert_int_equal(a.time.us, NOW - 900 * US_PER_SECOND);
	assert_int_equal(set(&a, "list", "a,b"), 0);
	assert_int_equal(set(&a, "list", "c"), 0);
	assert_int_equal(a.list.count, 3);
	assert_string_equal(a.list.items[0], "a");
	assert_string_equal(a.list.items[2], "c");
	assert_null(a.list.items[3]);
	assert_int_equal(set(&a, "size", "256K"), 0);
	assert_int_equal(a.size, 256u << 10);
	assert_int_equal(set(&a, "rate", "500k"), 0);
	assert_int_equal(a.rate, 500000);
	assert_int_equal(set(&a, "choice", "one"), 0);
	assert_int_equal(a.choice, 0);
}

static void test_refused_values(void **state)
{
	(void)state;
	struct args a = defaults();
	static const char *const bad[][2] = {{"time", "yesterday"}, {"duration", "12"},
		{"duration", "-1s"}, {"size", "4X"}, {"size", "4MM"}, {"size", ""},
		{"size", "99999999999T"}, {"rate", "-1"}, {"count", "4294967296"}, {"count", "-1"},
		{"count", "x"}, {"choice", "three"}, {"volume", "18TB"}, {"decimal", "-1"},
		{"decimal", "nan"}, {"decimal", "1,4"}, {"decimal", "1e99"},
		{"list", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"}};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_not_equal(set(&a, bad[i][0], bad[i][1]), 0);
}

static void test_words_of_errors(void **state)
{
	(void)state;
	struct args a = defaults();
	char why[128], text[] = "three", time[] = "soon";
	assert_int_not_equal(option_set(option_find(table, "choice", 6), &a, text,
				     (struct wall){NOW}, why, sizeof(why)),
		0);
	assert_string_equal(why, "--choice: \"three\" is not one of one, two");
	assert_int_not_equal(option_set(option_by_letter(table, 't'), &a, time, (struct wall){NOW},
				     why, sizeof(why)),
		0);
	assert_non_null(strstr(why, "2026-11-23T21:40:00+08:00"));
}

/* --- command lines --- */

static const struct command *ran;

static enum exit_code probe_run(struct command_call *call, const void *args)
{
	const struct args *a = args;
	ran = call->command;
	assert_string_equal(call->words[0], "WORD");
	assert_int_equal(call->word_count, 1);
	assert_null(call->words[1]);
	if (call->cluster.count) {
		assert_int_equal(call->cluster.count, 3);
		assert_string_equal(call->cluster.items[2], "c:3");
		assert_null(call->cluster.items[3]);
	}
	return a->flag && a->count == 3 && call->json && strcmp(a->word, "x=y") == 0
		       ? ENDED_OK
		       : ENDED_FAILURE;
}

static const struct command probe = {.name = "probe",
	.words = "WORD",
	.least_words = 1,
	.most_words = 1,
	.brief = "",
	.about = "",
	.options = table,
	.args_size = sizeof(struct args),
	.uses = USES_JSON | USES_CLUSTER,
	.run = probe_run};

#define LINE(...)                                                                                  \
	command_run(                                                                               \
		&probe, sizeof((char *[]){__VA_ARGS__}) / sizeof(char *), (char *[]){__VA_ARGS__})

static void test_command_lines(void **state)
{
	(void)state;
	char word_option[] = "--word=x=y", count_option[] = "--count", three[] = "3", flag[] = "-f",
	     json[] = "--json", word[] = "WORD";
	assert_int_equal(LINE(word_option, count_option, three, word, flag, json), ENDED_OK);
	assert_ptr_equal(ran, &probe);
	char two[] = "--cluster=a:1,b:2", another[] = "--cluster", third[] = "c:3";
	char again[] = "--word=x=y";
	assert_int_equal(
		LINE(again, count_option, three, word, flag, json, two, another, third), ENDED_OK);
	char end[] = "--", dashed[] = "-f";
	assert_int_equal(LINE(word, end, dashed), ENDED_USAGE);  /* a word too many */
	assert_int_equal(LINE(flag), ENDED_USAGE);               /* the word is missing */
	assert_int_equal(LINE(word, count_option), ENDED_USAGE); /* its value is missing */
	char unknown[] = "--nothing", utc[] = "--utc", valued[] = "--flag=1", cluster[] = "-fc";
	assert_int_equal(LINE(word, unknown), ENDED_USAGE);
	assert_int_equal(LINE(word, utc), ENDED_USAGE); /* it prints no times */
	assert_int_equal(LINE(word, valued), ENDED_USAGE);
	assert_int_equal(LINE(word, cluster), ENDED_USAGE);
}

static void test_finding_commands(void **state)
{
	(void)state;
	int used = 0;
	assert_string_equal(
		command_find(3, (char *[]){"camera", "add", "x"}, &used)->name, "camera add");
	assert_int_equal(used, 2);
	assert_string_equal(command_find(2, (char *[]){"record", "add"}, &used)->name, "record");
	assert_int_equal(used, 1);
	assert_null(command_find(1, (char *[]){"camera"}, &used));
	assert_null(command_find(1, (char *[]){"rec"}, &used));
	assert_string_equal(command_suggest("timelin"), "timeline");
	assert_string_equal(command_suggest("exprot"), "export");
	assert_null(command_suggest("nonsense"));
}

/* What all tables must keep to, for help and completion to be right. */
static void test_all_tables(void **state)
{
	(void)state;
	for (size_t i = 0; commands[i]; i++) {
		const struct command *c = commands[i];
		assert_true(c->run && c->brief[0] && c->about);
		assert_int_equal(c->most_words == 0, c->words[0] == 0);
		for (const struct option *o = c->options; o && o->name; o++) {
			assert_int_equal(o->kind == OPTION_FLAG, o->value == NULL);
			assert_true(o->offset < c->args_size);
			assert_true(o->help[0] && o->help[strlen(o->help) - 1] != '.');
			for (const struct option *k = command_common_options(); k->name; k++) {
				if (!command_has_common(c, k))
					continue;
				assert_string_not_equal(o->name, k->name);
				assert_true(!o->letter || o->letter != k->letter);
			}
			for (const struct option *k = c->options; k < o; k++)
				assert_true(strcmp(o->name, k->name) != 0 &&
					    (!o->letter || o->letter != k->letter));
		}
	}
}

static void test_exit_codes(void **state)
{
	(void)state;
	assert_int_equal(exit_code_of(0), 0);
	assert_int_equal(exit_code_of(STEPPE_E_REFUSED), 3);
	assert_int_equal(exit_code_of(STEPPE_E_DAMAGED), 5);
	assert_int_equal(exit_code_of(-12345), 1);
	for (const struct exit_entry *e = exit_entries; e->meaning; e++)
		for (const struct exit_entry *k = exit_entries; k < e; k++)
			assert_int_not_equal(e->number, k->number);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_refused_values),
		cmocka_unit_test(test_words_of_errors),
		cmocka_unit_test(test_command_lines),
		cmocka_unit_test(test_finding_commands),
		cmocka_unit_test(test_all_tables),
		cmocka_unit_test(test_exit_codes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
