/* SPDX-License-Identifier: Apache-2.0 */
/* What a camera sends: H.264 and H.265 access units, configuration records, headers of AAC frames
 * and JPEG pictures. The first byte says which, and where a record ends and a unit begins. */
#include "tests/fuzz/fuzz.h"
#include "tools/media/accessunit.h"
#include "tools/media/frameheader.h"
#include "tools/media/gather.h"

static void try_codec(enum steppe_codec codec, const uint8_t *data, size_t size, size_t config_len)
{
	struct accessunit unit, again;
	struct accessunit_result r;
	struct buf *config = NULL;
	unsigned length_size;
	accessunit_init(&unit, codec);
	accessunit_init(&again, codec);
	(void)accessunit_configure(&unit, data, config_len);
	(void)accessunit_continues(&unit, data + config_len, size - config_len);
	for (int i = 0; i < 2; i++)
		(void)accessunit_convert(&unit, data + config_len, size - config_len, &r);
	/* a record that was made can be taken over again */
	if (paramsets_config(&unit.sets, &config) == 0 &&
		paramsets_load(&again.sets, config->data, config->len, &length_size) != 0)
		__builtin_trap();
	buf_unref(&config);
	accessunit_fini(&unit);
	accessunit_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct adts adts;
	uint16_t width, height;
	if (size < 3)
		return 0;
	size_t config_len = (size_t)(data[1] << 8 | data[2]) % (size - 2);
	try_codec(data[0] & 1 ? STEPPE_H265 : STEPPE_H264, data + 3, size - 3,
		config_len > size - 3 ? size - 3 : config_len);
	(void)adts_parse(data + 3, size - 3, &adts);
	(void)jpeg_size(data + 3, size - 3, &width, &height);
	return 0;
}
