/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's settings: one table gives their names, kinds, ranges, defaults and words, reads them
 * from YAML and from the command line, and writes docs/reference/storaged.md. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/log.h"
#include "storaged/archive/cutter.h"

/* Strings are the configuration's own. Durations are microseconds. */
struct config {
	char *node, *store, *listen, *http;
	char *tls_dir, *tls_ca, *tls_cert, *tls_key, *tls_crl;
	char *log_level_word;
	char *advertise, *rack;
	uint64_t weight, moves_per_second;
	int64_t beat_us, dead_us;
	uint64_t loops;
	bool any_camera;
	uint64_t connections, handshakes, streams, fetches, ingest_memory, lane_window,
		cache_memory;
	int64_t chunk_min_us, chunk_max_us, chunk_silence_us, batch_us, idle_yield_us, stop_us;
	int64_t retention_every_us, retention_safe_us;
	uint64_t retention_removes;
	uint64_t chunk_min_bytes, chunk_max_bytes, batch_bytes;
};

/* Sets every default. 0 or -ENOMEM. */
int config_init(struct config *c);
void config_fini(struct config *c);

/* Sets one setting from text; on failure words for a person in `why`. ERR_CONFIG: no such setting
 * or a value that cannot be; -ENOMEM. */
int config_set(struct config *c, const char *key, const char *value, char *why, size_t why_size);
/* Reads a YAML file: nested mappings are dotted names. Words in `why` begin with file and line.
 * ERR_CONFIG, -errno. */
int config_read(struct config *c, const char *path, char *why, size_t why_size);
/* The same from memory; `path` is for the words. */
int config_read_text(struct config *c, const char *path, const char *text, size_t len, char *why,
	size_t why_size);
/* What must hold of all settings together; fills the TLS files' names from tls.dir and node. */
int config_finish(struct config *c, char *why, size_t why_size);

/* Chunk and batch limits as the archive wants them. */
struct cutter_limits config_cutter(const struct config *c);
enum log_level config_log_level(const struct config *c);

/* Writes the reference page (Markdown), or the settings in force as YAML. */
void config_write_reference(FILE *to);
void config_write(const struct config *c, FILE *to);
