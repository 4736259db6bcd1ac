/* SPDX-License-Identifier: Apache-2.0 */
/* fsck through the daemons that own the cameras: one camera, or all that are registered, one after
 * the other. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/names.h"
#include "proto/refusal.h"
#include "tools/steppe/cluster.h"
#include "tools/steppe/complain.h"
#include "tools/steppe/fsckreport.h"

struct walk {
	struct fsckreport *report;
	struct cluster cluster;
	char (*cameras)[CAMERA_ID_MAX + 1];
	size_t count, room;
	int error; /* of making the list */
};

/* The finding of the daemon, with the stream's name to it. */
struct through {
	struct fsckreport *report;
	const char *stream;
};

static void on_finding(void *user, const struct steppe_fsck_finding *finding)
{
	struct through *t = user;
	fsckreport_finding(t->report, t->stream, finding);
}

static int check(struct walk *w, const char *stream)
{
	struct steppe_fsck_result result = {0};
	struct through through = {w->report, stream};
	fsckreport_stream(w->report, stream, w->count);
	int error = steppe_fsck(w->cluster.steppe, stream, w->report->level, w->report->rebuild,
		on_finding, &through, &result);
	if (!error)
		fsckreport_checked(w->report, result.chunks, result.bytes);
	return error;
}

enum exit_code fsck_online(struct fsckreport *r, const char *stream)
{
	struct walk w = {.report = r, .count = 1};
	enum exit_code code = cluster_open(&w.cluster, r->call);
	if (code)
		return code;
	fsckreport_begin(r);
	code = fsckreport_end(r, check(&w, stream), stream);
	cluster_close(&w.cluster);
	return code;
}

/* --- all of them --- */

static bool add_camera(void *user, const struct steppe_camera *camera)
{
	struct walk *w = user;
	if (w->count == w->room) {
		size_t room = w->room ? 2 * w->room : 64;
		void *more = realloc(w->cameras, room * sizeof(*w->cameras));
		if (!more) {
			w->error = -ENOMEM;
			return false;
		}
		w->cameras = more;
		w->room = room;
	}
	if (!camera_id_is_valid(camera->id)) {
		w->error = STEPPE_E_FORMAT;
		return false;
	}
	strcpy(w->cameras[w->count++], camera->id);
	return true;
}

static int by_id(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Nothing was ever recorded of it: nothing can be wrong. */
static bool is_nothing(int error)
{
	return error == -ENOENT ||
	       (error == STEPPE_E_REFUSED && steppe_last_refusal(NULL) == REFUSAL_UNKNOWN_STREAM);
}

/* What keeps one camera from being checked is told; the others are checked all the same. */
static int check_all(struct walk *w, const char *profile)
{
	char stream[CLUSTER_STREAM_MAX];
	int first = 0;
	for (size_t i = 0; i < w->count; i++) {
		int error =
			cluster_stream(w->cameras[i], profile, stream) ? check(w, stream) : -EINVAL;
		if (!error || is_nothing(error))
			continue;
		fsckreport_failed(w->report, error, stream);
		first = first ? first : error;
	}
	return first;
}

enum exit_code fsck_all(struct fsckreport *r, const char *profile)
{
	struct walk w = {.report = r};
	enum exit_code code = cluster_open(&w.cluster, r->call);
	if (code)
		return code;
	fsckreport_begin(r);
	int error = steppe_camera_list(w.cluster.steppe, add_camera, &w);
	error = error ? error : w.error;
	if (error) {
		code = fsckreport_end(r, error, "the list of cameras");
	} else {
		if (w.count > 0)
			qsort(w.cameras, w.count, sizeof(*w.cameras), by_id);
		error = check_all(&w, profile);
		code = fsckreport_end(r, 0, "all cameras");
		code = error ? exit_code_of(error) : code;
	}
	free(w.cameras);
	cluster_close(&w.cluster);
	return code;
}
