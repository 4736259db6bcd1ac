/* SPDX-License-Identifier: Apache-2.0 */
/* make_chunk MEDIA SECONDS OUT: writes the first seconds of a media file as a chunk, for players to
 * judge. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/footage_media.h"

int main(int argc, char **argv)
{
	struct footage_chunk c;
	if (argc != 4) {
		fprintf(stderr, "usage: make_chunk MEDIA SECONDS OUT\n");
		return 2;
	}
	if (footage_media_chunk(&c, argv[1], atoi(argv[2]), 4096) < 0)
		return 1;
	FILE *f = fopen(argv[3], "wb");
	bool written = f && fwrite(c.bytes, 1, c.len, f) == c.len;
	written &= f && fclose(f) == 0;
	footage_chunk_fini(&c);
	return written ? 0 : 1;
}
