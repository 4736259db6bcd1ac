/* SPDX-License-Identifier: Apache-2.0 */
/* Settings from YAML (libyaml's events): mappings inside mappings are dotted names, everything else
 * is refused with its line. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/errors.h"
#include "storaged/config.h"

#define FILE_MAX  (1u << 20)
#define DEPTH_MAX 3
#define KEY_MAX   128

struct reading {
	struct config *config;
	yaml_parser_t parser;
	const char *path;
	char *why;
	size_t why_size;
	char key[KEY_MAX];             /* dotted, of the mappings we are in */
	size_t lengths[DEPTH_MAX + 1]; /* of `key` at each depth */
	int depth;
	bool has_key; /* a name was read, its value comes next */
};

static int fail_at(struct reading *r, size_t line, const char *words)
{
	snprintf(r->why, r->why_size, "%s:%zu: %s", r->path, line + 1, words);
	return ERR_CONFIG;
}

static int take_key(struct reading *r, const char *name, size_t line)
{
	size_t at = r->lengths[r->depth];
	int n = snprintf(r->key + at, sizeof(r->key) - at, "%s%s", at ? "." : "", name);
	if (n < 0 || (size_t)n >= sizeof(r->key) - at)
		return fail_at(r, line, "a setting's name is too long");
	r->has_key = true;
	return 0;
}

static int take_scalar(struct reading *r, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t line = event->start_mark.line;
	if (strlen(text) != event->data.scalar.length)
		return fail_at(r, line, "a NUL in a text");
	if (r->depth == 0)
		return fail_at(r, line, "settings are written as `name: value`");
	if (!r->has_key)
		return take_key(r, text, line);
	char why[256];
	r->has_key = false;
	int rc = config_set(r->config, r->key, text, why, sizeof(why));
	return rc ? (fail_at(r, line, why), rc) : 0;
}

static int begin_mapping(struct reading *r, size_t line)
{
	if (r->depth > 0 && !r->has_key)
		return fail_at(r, line, "a mapping cannot be a setting's name");
	if (r->depth == DEPTH_MAX)
		return fail_at(r, line, "settings are nested too deep");
	size_t len = r->depth ? strlen(r->key) : 0;
	r->lengths[++r->depth] = len;
	r->has_key = false;
	return 0;
}

static int take_event(struct reading *r, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return take_scalar(r, event);
	case YAML_MAPPING_START_EVENT:
		return begin_mapping(r, event->start_mark.line);
	case YAML_MAPPING_END_EVENT:
		r->depth--;
		r->has_key = false;
		return 0;
	case YAML_SEQUENCE_START_EVENT:
		return fail_at(r, event->start_mark.line, "no setting is a list");
	case YAML_ALIAS_EVENT:
		return fail_at(r, event->start_mark.line, "aliases are not taken");
	default:
		return 0;
	}
}

int config_read_text(struct config *c, const char *path, const char *text, size_t len, char *why,
	size_t why_size)
{
	struct reading r = {.config = c, .path = path, .why = why, .why_size = why_size};
	if (!yaml_parser_initialize(&r.parser)) {
		snprintf(why, why_size, "not enough memory");
		return -ENOMEM;
	}
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
	int rc = 0;
	for (bool ended = false; !ended && !rc;) {
		yaml_event_t event;
		if (!yaml_parser_parse(&r.parser, &event)) {
			rc = fail_at(&r, r.parser.problem_mark.line,
				r.parser.problem ? r.parser.problem : "not YAML");
			break;
		}
		ended = event.type == YAML_STREAM_END_EVENT;
		rc = take_event(&r, &event);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&r.parser);
	return rc;
}

int config_read(struct config *c, const char *path, char *why, size_t why_size)
{
	FILE *file = fopen(path, "re");
	int rc = file ? 0 : -errno;
	char *text = malloc(FILE_MAX + 1);
	size_t len = 0;
	if (file && text) {
		len = fread(text, 1, FILE_MAX + 1, file);
		if (ferror(file))
			rc = -EIO;
	}
	if (file)
		fclose(file);
	if (rc)
		snprintf(why, why_size, "%s: %s", path, strerror(-rc));
	else if (!text)
		rc = -ENOMEM;
	else if (len > FILE_MAX)
		rc = (snprintf(why, why_size, "%s: larger than 1 MiB", path), ERR_CONFIG);
	else
		rc = config_read_text(c, path, text, len, why, why_size);
	free(text);
	return rc;
}
