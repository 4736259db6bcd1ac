/* SPDX-License-Identifier: Apache-2.0 */
/* Partitions, as they come and with each record's level and checksum mended: records, what they
 * claim, a day's totals; and names and versions as text. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "storaged/archive/gaps.h"
#include "storaged/archive/index.h"
#include "tests/fuzz/fuzz.h"

static void try_record(const struct index_record *r)
{
	struct gap_cover covers[INDEX_GAPS_MAX + 1];
	struct gap claims[INDEX_GAPS_MAX + 1];
	size_t cover_count, claim_count;
	uint8_t bytes[INDEX_RECORD_SIZE];
	struct index_record back;
	gaps_of_record(r, covers, &cover_count, claims, &claim_count);
	CHECK(cover_count <= INDEX_GAPS_MAX + 1 && claim_count <= INDEX_GAPS_MAX + 1);
	for (size_t i = 0; i < cover_count; i++)
		CHECK(covers[i].from.us <= covers[i].to.us);
	index_record_encode(r, bytes);
	CHECK(index_record_decode(bytes, &back) == 0);
}

static void try_partition(const uint8_t *data, size_t size)
{
	struct index_partition p;
	struct index_day day;
	if (index_partition_decode(data, size, &p) < 0)
		return;
	CHECK(p.count + p.damaged <= size / INDEX_RECORD_SIZE + 1);
	for (size_t i = 0; i < p.count; i++)
		try_record(&p.records[i]);
	if (p.count < 200 && index_day_make(p.records, p.count,
				     p.count ? wall_day(p.records[0].start) : 0, &day) == 0)
		for (size_t i = 0; i < 96; i++)
			CHECK(day.seconds[i] <= 900);
	index_partition_fini(&p);
}

static void try_text(const uint8_t *data, size_t size)
{
	char text[STORE_NAME_MAX + 1], again[STORE_NAME_MAX + 1], stream[STREAM_NAME_MAX + 1];
	struct index_version v;
	struct chunk_id id;
	int32_t day;
	size_t len = size < STORE_NAME_MAX ? size : STORE_NAME_MAX;
	memcpy(text, data, len);
	text[len] = 0;
	if (index_partition_name_parse(text, stream, &day) == 0) {
		index_partition_name(again, stream, day);
		CHECK(strcmp(text, again) == 0);
	}
	if (chunk_name_parse(text, stream, &id) == 0) {
		chunk_name(again, stream, &id);
		CHECK(strcmp(text, again) == 0);
	}
	if (index_version_parse(data, size, &v) == 0) {
		index_version_format(&v, again);
		CHECK(memcmp(data, again, size) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size)
		try_text(data, size);
	try_partition(data, size);
	uint8_t *copy = malloc(size + 1);
	if (!copy)
		return 0;
	if (size)
		memcpy(copy, data, size);
	for (size_t at = 0; at + INDEX_RECORD_SIZE <= size; at += INDEX_RECORD_SIZE) {
		struct bytes b = bytes_writer(copy + at + INDEX_RECORD_SIZE - 4, 4);
		copy[at + 99] = INDEX_LEVEL;
		bytes_put_u32(&b, crc32c(0, copy + at, INDEX_RECORD_SIZE - 4));
	}
	try_partition(copy, size);
	free(copy);
	return 0;
}
