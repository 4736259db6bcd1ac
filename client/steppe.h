/* SPDX-License-Identifier: Apache-2.0 */
/* libsteppe: record video into a Steppe cluster and get any window of it back.
 *
 * Handles are opaque. Option structures begin with their own size, set by STEPPE_INIT, so that
 * programs built against an older header go on working. Times are microseconds since
 * 1970-01-01T00:00:00Z. Functions return 0 (or a count) or a negative code: -errno or STEPPE_E_*;
 * steppe_error_text() has words. No function calls back while it is being called.
 *
 * Threads. A `struct steppe` is a connection set with one event loop. By default a thread of its
 * own runs the loop: callbacks come on that thread, all functions may be called from any other
 * thread. With `own_loop` the caller drives it: poll the descriptor steppe_fd() for reading, call
 * steppe_step() when it is readable or steppe_timeout_ms() has passed; callbacks come inside
 * steppe_step(), and all functions belong to that one thread. The blocking functions (marked so)
 * must not be called from a callback, nor with own_loop. */
#ifndef STEPPE_H
#define STEPPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(STEPPE_BUILDING)
#define STEPPE_API __attribute__((visibility("default")))
#else
#define STEPPE_API
#endif

#define STEPPE_INIT(type)                                                                          \
	{                                                                                          \
		.size = sizeof(struct type)                                                        \
	}

/* Codes beside -errno; the same values as in the daemon's log. */
#define STEPPE_E_FORMAT   (-2002)
#define STEPPE_E_CHECKSUM (-2003)
#define STEPPE_E_LIMIT    (-2005)
#define STEPPE_E_REFUSED  (-2007) /* steppe_last_refusal tells which */
#define STEPPE_E_CLOSED   (-2008)
#define STEPPE_E_DAMAGED  (-2009)
#define STEPPE_E_GONE     (-2010)
#define STEPPE_E_CONFIG   (-2012)
#define STEPPE_E_TLS      (-2013)
STEPPE_API const char *steppe_error_text(int code);
STEPPE_API const char *steppe_refusal_word(int refusal); /* "busy", "unknown-camera" ... */
STEPPE_API const char *steppe_refusal_text(int refusal);
STEPPE_API const char *steppe_version(void);

/* --- The cluster --- */

struct steppe;

struct steppe_options {
	size_t size;
	const char *const *addresses; /* "host:port", NULL-terminated; any daemon of the cluster
					 will do, the others are learned from it; several help when
					 one is down */
	const char *ca, *cert, *key;  /* PEM files */
	const char *name; /* what the program calls itself, for the daemons' logs; may be NULL */
	bool own_loop;
	/* 0 error .. 3 debug; NULL: none. On the handle's thread, or the one that calls a function. */
	void (*log)(void *user, int level, const char *line);
	void *log_user;
};

/* Gives a handle; connects by itself when it is used and again whenever it must. Borrows the options
 * until it returns. Mistakes are told at once, with words in `why` (may be NULL): STEPPE_E_CONFIG (no
 * address, an unreadable certificate or key), STEPPE_E_TLS, -EINVAL, -ENOMEM. */
STEPPE_API int steppe_open(const struct steppe_options *options, struct steppe **ret_steppe,
	char *why, size_t why_size);
/* Blocking (with own_loop too: it steps by itself). Stops everything still going on (its callbacks
 * come with -ECANCELED), frees, sets *steppe to NULL; harmless on NULL. Recorders and clips must be
 * closed before. Not from a callback, and no other function of the handle beside it. */
STEPPE_API void steppe_close(struct steppe **steppe);
/* With own_loop alone, on the thread that drives it: the descriptor to be polled for reading, the
 * handle's as long as it lives; how long to poll at most (-1: no limit); does what is to be done,
 * callbacks included. */
STEPPE_API int steppe_fd(struct steppe *steppe);
STEPPE_API int steppe_timeout_ms(struct steppe *steppe);
STEPPE_API void steppe_step(struct steppe *steppe);

/* --- Recording --- */

enum steppe_codec {
	STEPPE_H264 = 1,
	STEPPE_H265,
	STEPPE_AAC,
	STEPPE_PCMA,
	STEPPE_PCMU,
	STEPPE_MJPEG,
	STEPPE_METADATA
};

struct steppe_track {
	size_t size;
	enum steppe_codec codec;
	uint32_t timescale;     /* ticks a second, 1..1,000,000 */
	uint16_t width, height; /* video */
	uint16_t channels;      /* audio */
	uint32_t sample_rate;   /* audio */
	const void *
		config; /* avcC / hvcC record, AudioSpecificConfig, MIME type of metadata; copied */
	size_t config_len;
};

enum steppe_clock {
	STEPPE_CLOCK_RECEIPT,
	STEPPE_CLOCK_RTCP,
	STEPPE_CLOCK_DECLARED,
	STEPPE_CLOCK_CAMERA,
	STEPPE_CLOCK_NTP
};

/* Causes of gaps, also in timelines. */
enum steppe_gap {
	STEPPE_GAP_NONE,
	STEPPE_GAP_UNKNOWN,
	STEPPE_GAP_CAMERA_OFF,
	STEPPE_GAP_NETWORK,
	STEPPE_GAP_RECORDER_STOPPED,
	STEPPE_GAP_REFUSED,
	STEPPE_GAP_THINNED,
	STEPPE_GAP_EXPIRED,
	STEPPE_GAP_DAMAGED
};
STEPPE_API const char *steppe_gap_text(int cause); /* "camera off", ... */

struct steppe_sample {
	size_t size;
	unsigned track; /* index in the tracks given at open */
	const void *
		data; /* length-prefixed NAL units for H.264 and H.265, a frame otherwise; copied */
	size_t len;
	int64_t dts, pts; /* ticks of the track's timescale, on one time base for all tracks */
	int64_t duration; /* ticks; 0: not known */
	bool sync;        /* decoding can start here */
	bool sync_open;   /* ... but pictures that follow may refer to earlier ones (CRA, recovery
			     point) */
	int64_t wall_us;  /* capture time of this sample; -1: as the ticks run on */
	enum steppe_clock clock;
	uint32_t clock_error_us;
	bool discontinuity; /* a new run begins here: reconnected, stepped */
};

struct steppe_recorder_status {
	size_t size;
	bool connected;
	int refusal;              /* of the last attempt, 0: none */
	int64_t durable_until_us; /* everything captured before is kept; -1: nothing yet */
	int64_t captured_until_us;
	uint64_t fragments, durable_fragments, bytes;
	uint64_t memory_bytes;      /* not durable yet, in memory */
	uint64_t spool_bytes;       /* not durable yet, in the spool file */
	uint64_t dropped_fragments; /* lost for want of room: spool limit reached */
	uint64_t reconnects;
	bool refused_for_good; /* waiting does not mend the refusal, somebody has to act; it is
				  tried again every 30 s all the same */
};

struct steppe_recorder;
struct steppe_recorder_options {
	size_t size;
	const char *stream; /* "camera/profile" */
	const struct steppe_track *tracks;
	unsigned track_count;
	const char *spool_dir; /* where what is not durable waits during an outage, and survives
				  this program; NULL: memory alone */
	uint64_t memory_limit; /* bytes; 0: 16 MiB */
	uint64_t spool_limit;  /* bytes; 0: 4 GiB */
	/* Everything up to `durable_until_us` is kept (by capture time, on the live lane), or the
	 * state changed. */
	void (*changed)(void *user, const struct steppe_recorder_status *status);
	/* Each acknowledged fragment, for programs that keep a ledger; may be NULL. `digest` has 32
	 * bytes. Once each; after a program that was killed those it was told of last may come again. */
	void (*durable)(void *user, uint64_t session, uint64_t seq, int64_t capture_us,
		uint32_t duration_us, const uint8_t *digest);
	void *user;
};

/* Gives a recorder that opens the stream by itself and carries on over every failure, also of the
 * daemon that owns the camera, until it is closed. Copies the options and tracks; callbacks come on
 * the handle's thread. -EINVAL (a name, a track that cannot be), -ENOMEM, what the spool's folder
 * failed with; -EBUSY: another recorder uses the stream's folder of spool_dir (steppe_spool_holder). */
STEPPE_API int steppe_record(struct steppe *steppe, const struct steppe_recorder_options *options,
	struct steppe_recorder **ret_recorder);
/* The process (its number) that records `stream` with this spool_dir; 0: none, or the system does
 * not tell. */
STEPPE_API long steppe_spool_holder(const char *spool_dir, const char *stream);
/* Takes one sample (copied). 0; -EAGAIN when memory and spool are full and nothing could be taken
 * (the sample counts as dropped, typed so in the record); -EINVAL; STEPPE_E_LIMIT (a sample that is
 * too large); -ENOMEM. Never blocks on the network. This and the four that follow: from any thread,
 * samples of one recorder in their order. */
STEPPE_API int steppe_recorder_write(struct steppe_recorder *r, const struct steppe_sample *sample);
/* The codec configuration changes from the next sample on. */
STEPPE_API int steppe_recorder_tracks(
	struct steppe_recorder *r, const struct steppe_track *tracks, unsigned count);
/* Nothing came since the last sample for this reason; ends with the next sample. */
STEPPE_API int steppe_recorder_gap(struct steppe_recorder *r, enum steppe_gap cause);
/* Makes a fragment of what is pending, though it be short. */
STEPPE_API int steppe_recorder_flush(struct steppe_recorder *r);
STEPPE_API void steppe_recorder_status(
	struct steppe_recorder *r, struct steppe_recorder_status *status);
/* Blocking. Flushes, waits until all is durable or `timeout_ms` passed (-1: no limit), closes,
 * frees, sets *r to NULL. 0 when all is durable; otherwise -ETIMEDOUT, or STEPPE_E_REFUSED at once
 * when it is refused for good: what is in the spool goes out when the stream is next recorded with
 * the same spool_dir. */
STEPPE_API int steppe_recorder_close(struct steppe_recorder **r, int timeout_ms);
/* The same without blocking: closed(user, status) comes once on the handle's thread, then the
 * recorder is no more; nothing may be called on it after this. */
STEPPE_API void steppe_recorder_end(struct steppe_recorder *r, int timeout_ms,
	void (*closed)(void *user, int status), void *user);

/* --- Looking --- */

struct steppe_span {
	int64_t start_us, end_us;
	uint64_t bytes;
	uint32_t fragments;
};
struct steppe_gap_span {
	int64_t start_us, end_us;
	int cause;
};
struct steppe_timeline {
	const struct steppe_span *spans;
	size_t span_count;
	const struct steppe_gap_span *gaps;
	size_t gap_count;
};
/* Asks for the merged spans and typed gaps of a stream in [from, to). Copies the name. 0, and done()
 * comes once on the handle's thread, the timeline (NULL unless status is 0) valid during it; or
 * -EINVAL, -ENOMEM, and it never comes. Status: STEPPE_E_REFUSED, -ETIMEDOUT after 20 s, what kept a
 * channel from coming about, -ECANCELED. */
STEPPE_API int steppe_timeline(struct steppe *steppe, const char *stream, int64_t from_us,
	int64_t to_us, void (*done)(void *user, int status, const struct steppe_timeline *timeline),
	void *user);

struct steppe_day {
	int32_t day; /* since 1970-01-01 */
	uint64_t bytes;
	uint32_t seconds;
	uint16_t quarter_seconds[96];
};
/* Which days exist; as steppe_timeline. */
STEPPE_API int steppe_days(struct steppe *steppe, const char *stream,
	void (*done)(void *user, int status, const struct steppe_day *days, size_t count),
	void *user);

struct steppe_fragment {
	unsigned stream;  /* index in the fetch's streams: fragments of several come merged by
			     capture time */
	const void *init; /* init segment in force */
	size_t init_len;
	const void *body; /* moof mdat; tfdt in ticks since the start of the chunk it lies in; sync
			     prefix alone if prefix_only */
	size_t len;
	bool prefix_only, sync, discontinuity, damaged;
	int64_t capture_us; /* presentation time of the first sample shown */
	uint32_t duration_us;
	enum steppe_clock clock;
	uint32_t clock_error_us;
	int gap_cause; /* of the hole before it */
	uint64_t session, seq;
	uint8_t digest[32];
};
struct steppe_fetch;
struct steppe_fetch_options {
	size_t size;
	const char *const *streams; /* NULL-terminated */
	int64_t from_us, to_us;
	bool sync_only;
	int64_t sync_every_us;
	bool backward, follow;
	const char *purpose, *case_id; /* for the audit record */
	uint64_t window_bytes;         /* in flight; 0: 8 MiB */
	/* One fragment; return false to pause until steppe_fetch_resume. Pointers are valid during
	 * the call. Fragments that overlap the window come whole, preceded by those needed to
	 * decode from the sync sample before it. */
	bool (*fragment)(void *user, const struct steppe_fragment *fragment);
	void (*done)(void *user, int status); /* once; then the fetch is no more */
	void *user;
};
/* Begins a fetch: each fragment once, in order, whatever daemons die meanwhile. Copies the options;
 * callbacks come on the handle's thread, the first perhaps before this returns (*ret_fetch is set by
 * then). -EINVAL, STEPPE_E_LIMIT (more than 64 streams), -ENOMEM: nothing was begun and done() never
 * comes. The handle is valid until done() returns. */
STEPPE_API int steppe_fetch(struct steppe *steppe, const struct steppe_fetch_options *options,
	struct steppe_fetch **ret_fetch);
/* Goes on after a pause; harmless without one. Any thread. */
STEPPE_API void steppe_fetch_resume(struct steppe_fetch *fetch);
/* No fragment is shown from now on but one that is being shown; done() comes later, with -ECANCELED
 * unless it was on its way. Any thread. */
STEPPE_API void steppe_fetch_stop(struct steppe_fetch *fetch);

/* --- Clips: a window as progressive MP4 files, readable at any offset --- */

struct steppe_clip;
struct steppe_clip_options {
	size_t size;
	const char *stream;
	int64_t from_us, to_us; /* exactly the frames with from <= presentation time < to */
	bool close_gaps;        /* default: a gap is the last picture before it, held */
	const char *purpose, *case_id;
};
struct steppe_clip_info {
	size_t size;
	unsigned files;           /* more than one after codec changes */
	int64_t start_us, end_us; /* of what is shown */
	uint64_t frames;          /* shown, of the video track */
	size_t gap_count;
	const struct steppe_gap_span *gaps;
	int64_t expires_us; /* until when every byte can be read */
};
/* Blocking. Gives a clip of what is there now. -ENODATA when the window holds nothing; -EINVAL,
 * -ENOMEM, STEPPE_E_REFUSED, STEPPE_E_LIMIT (a window of more chunks than a clip may have),
 * STEPPE_E_FORMAT (what came makes no sense), as timelines otherwise. */
STEPPE_API int steppe_clip_open(struct steppe *steppe, const struct steppe_clip_options *options,
	struct steppe_clip **ret_clip);
/* Fills in as much as info->size says; `gaps` is the clip's. */
STEPPE_API void steppe_clip_info(struct steppe_clip *clip, struct steppe_clip_info *info);
/* Bytes of a file; 0 past the last. */
STEPPE_API uint64_t steppe_clip_length(struct steppe_clip *clip, unsigned file);
/* Changes whenever a byte would: hex, NUL-terminated; valid as long as the clip. */
STEPPE_API const char *steppe_clip_etag(struct steppe_clip *clip, unsigned file);
/* Blocking; one thread at a time a clip. Reads `len` bytes at `offset`, fewer at the end only; the
 * count, 0 at the end. Goes on at another daemon when the one with the snapshot dies. STEPPE_E_GONE:
 * the bytes are nowhere any more; STEPPE_E_DAMAGED: they are not what was recorded; STEPPE_E_REFUSED,
 * -ETIMEDOUT ...: trying again may help. Reading on in order is prefetched. */
STEPPE_API int64_t steppe_clip_read(
	struct steppe_clip *clip, unsigned file, uint64_t offset, void *to, size_t len);
/* The fragments the clip is made of, in order, for manifests: valid until the next call. NULL past
 * the last. */
struct steppe_clip_fragment {
	const char *chunk; /* object name */
	uint64_t session, seq;
	int64_t capture_us;
	uint32_t duration_us, clock_error_us;
	enum steppe_clock clock;
	uint8_t digest[32];
};
STEPPE_API const struct steppe_clip_fragment *steppe_clip_fragment(
	struct steppe_clip *clip, size_t index);
/* Blocking: waits for reads ahead. Frees, sets *clip to NULL; harmless on NULL. */
STEPPE_API void steppe_clip_close(struct steppe_clip **clip);

/* --- Administration (blocking: 0, STEPPE_E_REFUSED, -ETIMEDOUT, -EINVAL, -ENOMEM, -EDEADLK in a
 * callback or with own_loop) --- */

/* Of the last blocking call on this thread, or of the callback being run: the refusal's number (0:
 * none) and the daemon's words, NULL or valid until the next call on this thread. */
STEPPE_API int steppe_last_refusal(const char **ret_reason);

struct steppe_camera {
	size_t size;
	const char *id, *name, *division, *site, *source;
	int64_t added_us;
	bool removed;
	const char *policy;        /* its own; "" or NULL: that of its groups, division or of all */
	const char *const *groups; /* at most eight */
	size_t group_count;
};
/* Registers a camera, or changes what is registered of it. Borrows it. */
STEPPE_API int steppe_camera_put(struct steppe *steppe, const struct steppe_camera *camera);
/* Takes it out of the register; its footage stays. */
STEPPE_API int steppe_camera_remove(struct steppe *steppe, const char *id);
/* each() for every camera, in no order, on the calling thread, until it returns false; strings valid
 * during the call. */
STEPPE_API int steppe_camera_list(struct steppe *steppe,
	bool (*each)(void *user, const struct steppe_camera *camera), void *user);
STEPPE_API int steppe_camera_get(struct steppe *steppe, const char *id,
	bool (*each)(void *user, const struct steppe_camera *camera), void *user);

/* How long footage is kept. The nearest policy wins: the camera's own, then of its groups the one with
 * the longest floor and then the shortest ceiling, then that of the longest beginning of its
 * division's code, then that of all. Without any, everything is kept. */
struct steppe_policy {
	size_t size;
	const char *name;
	int64_t floor_us;   /* nothing younger is deleted; an hour at least */
	int64_t ceiling_us; /* everything older is; 0: nothing by age */
	unsigned priority;  /* 0 to 9: the lower gives way first when the store is full */
};
enum steppe_policy_target {
	STEPPE_POLICY_ALL = 1,
	STEPPE_POLICY_DIVISION, /* a code or the beginning of one */
	STEPPE_POLICY_GROUP,
};
struct steppe_policy_assignment {
	size_t size;
	enum steppe_policy_target kind;
	const char *target; /* "" with STEPPE_POLICY_ALL */
	const char *policy; /* "": nothing is assigned there any more */
};
/* Adds or changes one; 0, STEPPE_E_REFUSED ... */
STEPPE_API int steppe_policy_put(struct steppe *steppe, const struct steppe_policy *policy);
/* Refused while it is assigned. */
STEPPE_API int steppe_policy_remove(struct steppe *steppe, const char *name);
STEPPE_API int steppe_policy_assign(
	struct steppe *steppe, const struct steppe_policy_assignment *assignment);

struct steppe_policies {
	const struct steppe_policy *policies;
	size_t policy_count;
	const struct steppe_policy_assignment *assignments;
	size_t assignment_count;
};
/* done() once, on the calling thread; valid during the call. */
STEPPE_API int steppe_policies(struct steppe *steppe,
	void (*done)(void *user, const struct steppe_policies *policies), void *user);

enum steppe_policy_why {
	STEPPE_POLICY_OF_NOBODY,
	STEPPE_POLICY_OF_CAMERA,
	STEPPE_POLICY_OF_GROUP,
	STEPPE_POLICY_OF_DIVISION,
	STEPPE_POLICY_OF_ALL,
};
struct steppe_policy_found {
	const struct steppe_policy *policy; /* NULL: everything is kept */
	enum steppe_policy_why why;
	const char *target; /* the group or division, else "" */
};
/* Which policy holds for a camera, and why; as above. */
STEPPE_API int steppe_policy_explain(struct steppe *steppe, const char *camera,
	void (*done)(void *user, const struct steppe_policy_found *found), void *user);

struct steppe_stream_status {
	const char *stream, *recorder;
	uint64_t epoch, bytes_per_second, open_chunk_bytes;
	bool recording;
	int64_t durable_until_us;
};
struct steppe_status {
	const char *node, *software, *store, *health;
	int64_t now_us, started_us;
	uint64_t pool_total[8], pool_used[8];
	unsigned pools, connections, streams_open;
	uint64_t bytes_in, bytes_out;
	const struct steppe_stream_status *streams;
	size_t stream_count;
};
/* Of whichever daemon answers. done() comes once, on the calling thread, before it returns, unless
 * that is with an error; what it is shown is valid during it. */
STEPPE_API int steppe_status(struct steppe *steppe, bool streams,
	void (*done)(void *user, const struct steppe_status *status), void *user);

/* --- the cluster's daemons; for admins */
enum steppe_node_state { STEPPE_NODE_IN = 1, STEPPE_NODE_DRAINING = 2, STEPPE_NODE_OUT = 3 };
struct steppe_node_status {
	const char *id, *rack, *address, *software; /* "": it tells nothing of itself */
	enum steppe_node_state state;
	bool alive, leads, leaving;
	uint32_t weight /* 1000: an ordinary node's */, streams, connections;
	int64_t bits_per_second, clock_offset_us; /* of its clock, against the cluster's */
};
struct steppe_cluster_status {
	uint64_t map_epoch, node_count;
	int64_t time_us;    /* cluster time */
	const char *leader; /* id, "" */
	const struct steppe_node_status *nodes;
};
/* done() once, on the calling thread, before it returns. */
STEPPE_API int steppe_cluster_status(struct steppe *steppe,
	void (*done)(void *user, const struct steppe_cluster_status *status), void *user);

/* 0 leaves state or weight. IN lets a removed node join again; remove one that has stopped. */
STEPPE_API int steppe_node_set(struct steppe *steppe, const char *id, enum steppe_node_state state,
	uint32_t weight, bool remove);

struct steppe_fsck_finding {
	const char *object, *what;
	int64_t from_us, to_us;
	bool repaired;
};
struct steppe_fsck_result {
	uint64_t chunks, bytes;
	uint32_t findings;
};
/* Checks a stream at its owner: level 1 the index, 2 the tables too, 3 every byte; it takes as
 * long as it takes. finding() comes on the handle's thread. */
STEPPE_API int steppe_fsck(struct steppe *steppe, const char *stream, int level, bool rebuild_index,
	void (*finding)(void *user, const struct steppe_fsck_finding *finding), void *user,
	struct steppe_fsck_result *ret_result);

/* Blocking forms of the asynchronous calls above: one allocation each, given to the caller, freed
 * with steppe_free; untouched unless 0 is returned. */
STEPPE_API int steppe_timeline_get(struct steppe *steppe, const char *stream, int64_t from_us,
	int64_t to_us, struct steppe_timeline **ret_timeline);
STEPPE_API int steppe_days_get(
	struct steppe *steppe, const char *stream, struct steppe_day **ret_days, size_t *ret_count);
STEPPE_API void steppe_free(void *result);

#ifdef __cplusplus
}
#endif

#endif
