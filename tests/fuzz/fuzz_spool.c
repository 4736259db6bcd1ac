/* SPDX-License-Identifier: Apache-2.0 */
/* A segment of a spool as a damaged disk may give it back, as it comes and with its checksums made
 * right; and the state. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "client/spool.h"
#include "client/spool_segment.h"
#include "tests/fuzz/fuzz.h"

static struct spool_dir dir = {.fd = -1, .state_fd = -1, .stream = "gate-7/main"};
static char folder[64];

static void remove_folder(void)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/live.00000001", folder);
	(void)unlink(path);
	(void)rmdir(folder);
}

static void open_folder(void)
{
	strcpy(folder, access("/dev/shm", W_OK) == 0 ? "/dev/shm/fuzz-spool-XXXXXX"
						     : "/tmp/fuzz-spool-XXXXXX");
	CHECK(mkdtemp(folder));
	dir.fd = open(folder, O_RDONLY | O_DIRECTORY);
	CHECK(dir.fd >= 0);
	atexit(remove_folder);
}

static void put_crc(uint8_t *block, size_t size)
{
	struct bytes b = bytes_writer(block + size - 4, 4);
	bytes_put_u32(&b, crc32c(0, block, size - 4));
}

/* Headers, records, fragments' headers: each as if it had been written so. */
static void mend(uint8_t *data, size_t size)
{
	if (size < SPOOL_HEADER_SIZE)
		return;
	put_crc(data, SPOOL_HEADER_SIZE);
	for (size_t at = SPOOL_HEADER_SIZE; at + SPOOL_RECORD_SIZE <= size;) {
		uint8_t *record = data + at, *payload = record + SPOOL_RECORD_SIZE;
		size_t left = size - at - SPOOL_RECORD_SIZE;
		struct bytes b = bytes_reader(record, SPOOL_RECORD_SIZE);
		bytes_skip(&b, 4);
		uint8_t kind = bytes_get_u8(&b);
		bytes_skip(&b, 19);
		uint32_t len = bytes_get_u32(&b);
		if (len > left)
			len = (uint32_t)left;
		struct bytes crc = bytes_writer(record + 28, 4);
		struct fragment_header h;
		if (kind == SPOOL_FRAGMENT && len >= FRAGMENT_HEADER_SIZE) {
			put_crc(payload, FRAGMENT_HEADER_SIZE);
			if (fragment_header_decode(payload, FRAGMENT_HEADER_SIZE, &h) == 0 &&
				h.body_len == len - FRAGMENT_HEADER_SIZE &&
				fragment_seal(&h, payload + FRAGMENT_HEADER_SIZE, false) == 0)
				fragment_header_encode(&h, payload);
			bytes_put_u32(&crc, crc32c(0, payload, FRAGMENT_HEADER_SIZE));
		} else {
			bytes_put_u32(&crc, crc32c(0, payload, len));
		}
		put_crc(record, SPOOL_RECORD_SIZE);
		at += SPOOL_RECORD_SIZE + (len ? len : 1);
	}
}

static void read_segment(const uint8_t *data, size_t size)
{
	int fd = openat(dir.fd, "live.00000001", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	(void)close(fd);
	struct spool *spool = NULL;
	if (spool_open(&dir, LANE_LIVE, 0, &spool) < 0)
		return;
	struct spool_extent x = spool_extent(spool);
	uint64_t number = 0, next = 0, count = 0;
	for (;; next = number + 1) {
		struct item *item = NULL;
		int rc = spool_read(spool, next, &item, &number);
		if (rc == 0) {
			CHECK(item->number == number && number >= next && item->init && item->body);
			CHECK(item->body->len == item->header.body_len);
			CHECK(fragment_check_crc(&item->header, item->body->data) == 0);
			item_free(&item);
		} else if (number < next || count >= x.count) {
			break; /* nothing more */
		}
		if (++count >= x.count)
			break;
	}
	spool_free(&spool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (dir.fd < 0)
		open_folder();
	struct spool_state state;
	uint8_t again[SPOOL_STATE_SIZE];
	if (spool_state_decode(data, size, &state) == 0)
		spool_state_encode(&state, again);
	read_segment(data, size);
	uint8_t *copy = malloc(size ? size : 1);
	CHECK(copy);
	memcpy(copy, data, size);
	mend(copy, size);
	read_segment(copy, size);
	if (size >= SPOOL_STATE_SIZE) {
		put_crc(copy, SPOOL_STATE_SIZE);
		if (spool_state_decode(copy, size, &state) == 0)
			spool_state_encode(&state, again);
	}
	free(copy);
	return 0;
}
