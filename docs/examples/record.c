/* SPDX-License-Identifier: Apache-2.0 */
/* Records JPEG pictures as a stream, ten a second, and says until when it is kept:
 *	record HOST:PORT[,HOST:PORT]... CA CERT KEY CAMERA PICTURE.jpg...
 * Any of the cluster's daemons will do; naming several helps when one is down.
 * Build: cc record.c $(pkg-config --cflags --libs steppe) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <steppe.h>

static void on_changed(void *user, const struct steppe_recorder_status *status)
{
	(void)user;
	if (status->refusal)
		fprintf(stderr, "refused: %s\n", steppe_refusal_text(status->refusal));
	printf("kept %llu of %llu fragments\n", (unsigned long long)status->durable_fragments,
		(unsigned long long)status->fragments);
}

static void write_picture(struct steppe_recorder *recorder, const char *path, int number)
{
	static unsigned char picture[4 << 20];
	FILE *file = fopen(path, "rb");
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	struct steppe_sample sample = STEPPE_INIT(steppe_sample);
	sample.len = file ? fread(picture, 1, sizeof(picture), file) : 0;
	sample.data = picture;
	sample.dts = sample.pts = number * 100;
	sample.sync = true; /* each can be decoded alone */
	sample.wall_us = now.tv_sec * 1000000LL + now.tv_nsec / 1000;
	int rc = steppe_recorder_write(recorder, &sample);
	if (rc)
		fprintf(stderr, "%s: %s\n", path, steppe_error_text(rc));
	if (file)
		fclose(file);
}

int main(int argc, char **argv)
{
	if (argc < 7)
		return 2;
	const char *addresses[9] = {NULL};
	for (int i = 0; i < 8 && (addresses[i] = strtok(i ? NULL : argv[1], ",")); i++)
		;
	struct steppe_options options = STEPPE_INIT(steppe_options);
	options.addresses = addresses;
	options.ca = argv[2], options.cert = argv[3], options.key = argv[4];
	char why[200], stream[100];
	struct steppe *cluster;
	if (steppe_open(&options, &cluster, why, sizeof(why)))
		return fprintf(stderr, "%s\n", why), 1;

	struct steppe_track track = STEPPE_INIT(steppe_track);
	track.codec = STEPPE_MJPEG, track.timescale = 1000, track.width = 640, track.height = 480;
	struct steppe_recorder_options what = STEPPE_INIT(steppe_recorder_options);
	snprintf(stream, sizeof(stream), "%s/main", argv[5]);
	what.stream = stream, what.tracks = &track, what.track_count = 1, what.changed = on_changed;
	struct steppe_recorder *recorder;
	int rc = steppe_record(cluster, &what, &recorder);
	for (int i = 6; rc == 0 && i < argc; i++) {
		write_picture(recorder, argv[i], i);
		nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
	}
	if (rc == 0)
		rc = steppe_recorder_close(&recorder, 10000); /* 0: all of it is kept */
	steppe_close(&cluster);
	return rc ? fprintf(stderr, "%s\n", steppe_error_text(rc)), 1 : 0;
}
