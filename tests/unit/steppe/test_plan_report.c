/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/steppe/printed.h"
#include "tools/steppe/plan_report.h"

static double even[3] = {1.04, 1.0, 0.96}, even_first[3] = {1.08, 0.98, 0.94};

static struct plan_report example(void)
{
	struct plan_report r = {.count = 2, .pool = "3 copies", .bitrate = "4.0 Mb/s"};
	r.site = (struct plan_site){.pool = {.copies = 3},
		.retention_s = 30 * 86400,
		.disk_bytes = 18e12,
		.disk_fill = 0.8,
		.host_disks = 36,
		.node_net = 25e9,
		.node_cores = 16,
		.node_cameras = 2000,
		.cpu_fill = 0.6,
		.cap = 1.05,
		.racks = 3};
	for (unsigned i = 0; i < 2; i++) {
		struct plan_column *c = &r.columns[i];
		c->demand = (struct plan_demand){.cameras = 1000 * (i + 1), .bits = 4e9 * (i + 1)};
		c->store = (struct plan_store){.bytes_kept = 1.2e15,
			.raw_bytes = 3.6e15,
			.disks = 12345,
			.hosts = 343,
			.chunks = 3.02e10,
			.disk_busy = 0.18,
			.write_bytes = 500e3};
		c->daemons = (struct plan_daemons){.units = 2.5, .nodes_by = PLAN_BY_NET};
		c->nodes = c->racks = 3;
		c->worst = (struct plan_node){.net = 9e9, .connections = 500, .memory = 4.2e9};
		c->sim.even = even;
		c->sim.even_first = even_first;
		c->sim.busiest = 1.04;
		c->sim.displaced = 7;
		c->sim.events[PLAN_NODE_LEAVES] = (struct plan_event){
			.nodes = 1, .moved = 333, .mean = 1.5, .busiest = 1.6, .takers = 2};
	}
	return r;
}

static void test_table(void **state)
{
	(void)state;
	struct plan_report r = example();
	struct printed p;
	printed_open(&p);
	assert_int_equal(plan_print_table(&r, p.to, false), 0);
	const char *text = printed_text(&p);
	assert_non_null(strstr(text, "Footage "));
	assert_non_null(strstr(text, "  1,000 cameras  2,000 cameras\n"));
	assert_non_null(strstr(text, "  coming in, 4.0 Mb/s a camera "));
	assert_non_null(strstr(text, "  disks of 18 TB, 80 % full "));
	assert_non_null(strstr(text, " 12,345 "));
	assert_non_null(strstr(text, " 30.2 billion"));
	assert_non_null(strstr(text, "  just enough by network "));
	assert_non_null(strstr(text, " 333 (33.3 %) "));
	assert_non_null(strstr(text, " 7 (0.70 %)"));
	assert_non_null(strstr(text, "  memory a node, a rack gone "));
	assert_non_null(strstr(text, "\n\nNodes with storaged\n"));
	assert_null(strstr(text, " \n")); /* no blanks at the end of a line */
	assert_null(strchr(text, '{'));
	for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
		assert_true(strcspn(line, "\n") <= 100);
	printed_free(&p);
}

static void test_notes(void **state)
{
	(void)state;
	char notes[PLAN_NOTES_MAX][PLAN_NOTE_MAX];
	struct plan_report r = example();
	assert_int_equal(plan_notes(&r, notes), 0);
	r.columns[1].worst.net = 26e9;
	r.columns[1].worst.connections = 10001;
	assert_int_equal(plan_notes(&r, notes), 2);
	assert_non_null(strstr(notes[0], "--node-net"));
	assert_non_null(strstr(notes[1], "limits.connections"));
	r.site.pool = (struct plan_pool){.k = 8, .m = 3, .unit = 4096};
	r.columns[1].store.write_bytes = 65536;
	assert_int_equal(plan_notes(&r, notes), 3);
	assert_non_null(strstr(notes[0], "64 KiB"));
	assert_non_null(strstr(notes[0], "--stripe 16K"));
	struct printed p;
	printed_open(&p);
	assert_int_equal(plan_print_table(&r, p.to, false), 0);
	for (const char *line = printed_text(&p); *line; line += strcspn(line, "\n") + 1)
		assert_true(strcspn(line, "\n") <= 100);
	printed_free(&p);
}

static void test_json(void **state)
{
	(void)state;
	struct plan_report r = example();
	struct printed p;
	printed_open(&p);
	plan_print_json(&r, p.to);
	const char *text = printed_text(&p);
	assert_non_null(strstr(text, "\"bitrate\":\"4.0 Mb/s\""));
	assert_non_null(strstr(text, "{\"cameras\":1000,\"bits_per_second\":4000000000,"));
	assert_non_null(strstr(text, "\"disks\":12345,\"disks_by\":\"room\","));
	assert_non_null(strstr(text, "\"max_to_mean\":1.040,"));
	assert_non_null(strstr(text, "\"moved_needlessly\":0,"));
	assert_non_null(strstr(text, "\"notes\":[]}\n"));
	printed_free(&p);
}

/* Each element is closed, nothing is drawn outside or at no place, and nothing is fetched. */
static void test_drawing(void **state)
{
	(void)state;
	struct plan_report r = example();
	strcpy(r.bitrate, "a<b&c");
	struct printed p;
	printed_open(&p);
	plan_draw(&r, p.to);
	const char *text = printed_text(&p);
	assert_memory_equal(text, "<svg ", 5);
	assert_string_equal(text + strlen(text) - 7, "</svg>\n");
	assert_non_null(strstr(text, "a&lt;b&amp;c"));
	assert_non_null(strstr(text, "prefers-color-scheme:dark"));
	assert_null(strstr(text, "href"));
	assert_null(strstr(text, "nan"));
	assert_null(strstr(text, "inf"));
	assert_null(strstr(text, "url("));
	size_t depth = 0;
	for (const char *c = text; (c = strchr(c, '<')); c++) {
		const char *end = strchr(c, '>');
		assert_non_null(end);
		if (c[1] == '/')
			depth--;
		else
			depth += end[-1] != '/';
	}
	assert_int_equal(depth, 0);
	printed_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_notes),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_drawing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
