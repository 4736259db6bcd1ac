/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz harness over the files named, or those in the directories named: whole, and cut short
 * at up to 64 places. */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

#define FILE_MAX (1u << 20)
#define CUTS     64

static size_t files;

static bool replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = malloc(FILE_MAX);
	bool read = f && data;
	if (read) {
		size_t len = fread(data, 1, FILE_MAX, f);
		size_t step = len / CUTS + 1;
		for (size_t cut = 0; cut < len; cut += step) {
			/* memory of its very own length, so that a sanitizer sees the first byte
			 * read past it */
			uint8_t *exact = malloc(cut + 1);
			if (!exact)
				break;
			memcpy(exact + 1, data, cut);
			(void)LLVMFuzzerTestOneInput(
				exact + 1, cut); /* what it gives back says nothing */
			free(exact);
		}
		(void)LLVMFuzzerTestOneInput(data, len);
		files++;
	} else {
		fprintf(stderr, "cannot read %s\n", path);
	}
	free(data);
	if (f)
		fclose(f);
	return read;
}

static bool replay(const char *path)
{
	struct dirent **entries;
	struct stat st;
	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
		return replay_file(path);
	int count = scandir(path, &entries, NULL, alphasort);
	if (count < 0) {
		perror(path);
		return false;
	}
	bool fine = true;
	for (int i = 0; i < count; i++) {
		char file[4096];
		int len = snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.')
			fine = len < (int)sizeof(file) && replay_file(file) && fine;
		free(entries[i]);
	}
	free(entries);
	return fine;
}

int main(int argc, char **argv)
{
	bool fine = argc > 1;
	for (int i = 1; i < argc; i++)
		fine = replay(argv[i]) && fine;
	printf("%zu files\n", files);
	return fine && files ? 0 : 1;
}
