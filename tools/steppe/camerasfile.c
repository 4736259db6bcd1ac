/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/steppe/camerasfile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* The first line of a file, which holds nothing but a password. */
static char *read_password(const char *path)
{
	char *line = NULL;
	size_t room = 0;
	FILE *f = fopen(path, "re");
	if (!f)
		return NULL;
	if (getline(&line, &room, f) < 0) {
		free(line);
		line = NULL;
	} else {
		line[strcspn(line, "\r\n")] = 0;
	}
	fclose(f);
	return line;
}

/* What an entry says, as it is written. */
struct raw {
	const char *camera, *source, *stream, *user, *password, *password_env, *password_file,
		*transport, *clock;
	bool audio, loop;
};

static int set_password(struct camerasfile *c, yaml_node_t *node, const struct raw *raw,
	struct camerasfile_entry *e)
{
	e->source.user = raw->user;
	e->source.password = raw->password;
	if (raw->password_env && !(e->source.password = getenv(raw->password_env)))
		yamlfile_fail(&c->file, node, "password_env: %.60s is not set", raw->password_env);
	if (raw->password_file &&
		!(e->source.password = e->owned_password = read_password(raw->password_file)))
		yamlfile_fail(
			&c->file, node, "password_file: %.120s cannot be read", raw->password_file);
	return c->file.error[0] ? STEPPE_E_CONFIG : 0;
}

static int fill(struct camerasfile *c, yaml_node_t *node, const struct raw *raw,
	struct camerasfile_entry *e)
{
	*e = (struct camerasfile_entry){.source = {.url = raw->source,
						.no_audio = !raw->audio,
						.loop = raw->loop,
						.start = {-1}}};
	if (!cluster_stream(raw->camera, raw->stream, e->stream))
		yamlfile_fail(&c->file, node,
			"camera: \"%.80s\" with stream \"%.20s\" is not a name", raw->camera,
			raw->stream);
	if (raw->transport && strcmp(raw->transport, "udp") == 0)
		e->source.transport = SOURCE_UDP;
	else if (raw->transport && strcmp(raw->transport, "tcp") != 0)
		yamlfile_fail(&c->file, node, "transport: \"%.20s\" is neither tcp nor udp",
			raw->transport);
	if (raw->clock && strcmp(raw->clock, "receipt") == 0)
		e->source.clock = SOURCE_CLOCK_RECEIPT;
	else if (raw->clock && strcmp(raw->clock, "auto") != 0)
		yamlfile_fail(
			&c->file, node, "clock: \"%.20s\" is neither auto nor receipt", raw->clock);
	for (size_t i = 0; i < c->count; i++)
		if (strcmp(c->entries[i].stream, e->stream) == 0)
			yamlfile_fail(&c->file, node, "%s is given twice", e->stream);
	return set_password(c, node, raw, e);
}

static int read_entry(struct camerasfile *c, yaml_node_t *node)
{
	struct raw raw = {.stream = "main", .audio = true};
	const struct yaml_field fields[] = {{"camera", YAML_STRING, true, &raw.camera},
		{"source", YAML_STRING, true, &raw.source},
		{"stream", YAML_STRING, false, &raw.stream},
		{"user", YAML_STRING, false, &raw.user},
		{"password", YAML_STRING, false, &raw.password},
		{"password_env", YAML_STRING, false, &raw.password_env},
		{"password_file", YAML_STRING, false, &raw.password_file},
		{"transport", YAML_STRING, false, &raw.transport},
		{"clock", YAML_STRING, false, &raw.clock}, {"audio", YAML_YES, false, &raw.audio},
		{"loop", YAML_YES, false, &raw.loop}};
	struct camerasfile_entry entry;
	if (yamlfile_fields(&c->file, node, fields, ARRAY_LEN(fields)))
		return STEPPE_E_CONFIG;
	if (c->count == CAMERASFILE_MAX) {
		yamlfile_fail(&c->file, node, "at most %d cameras are possible in one process",
			CAMERASFILE_MAX);
		return STEPPE_E_CONFIG;
	}
	struct camerasfile_entry *grown = realloc(c->entries, (c->count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	c->entries = grown;
	int error = fill(c, node, &raw, &entry);
	if (error) {
		free(entry.owned_password);
		return error;
	}
	c->entries[c->count++] = entry;
	return 0;
}

static int read_all(struct camerasfile *c)
{
	yaml_node_t *list = NULL, *item;
	const struct yaml_field fields[] = {{"cameras", YAML_CHILD, true, &list}};
	int error = yamlfile_fields(&c->file, yamlfile_root(&c->file), fields, ARRAY_LEN(fields));
	for (size_t i = 0; !error && (item = yamlfile_item(&c->file, list, i)); i++)
		error = read_entry(c, item);
	if (!error && c->count == 0)
		yamlfile_fail(&c->file, list, "cameras: not one is given");
	return c->file.error[0] ? STEPPE_E_CONFIG : error;
}

static int finish(struct camerasfile *c, int error, char *why, size_t why_size)
{
	if (!error)
		error = read_all(c);
	if (!error)
		return 0;
	snprintf(why, why_size, "%s", c->file.error[0] ? c->file.error : steppe_error_text(error));
	camerasfile_fini(c);
	return error;
}

int camerasfile_load(struct camerasfile *c, const char *path, char *why, size_t why_size)
{
	*c = (struct camerasfile){.count = 0};
	return finish(c, yamlfile_load(&c->file, path), why, why_size);
}

int camerasfile_parse(
	struct camerasfile *c, const void *data, size_t len, char *why, size_t why_size)
{
	*c = (struct camerasfile){.count = 0};
	return finish(c, yamlfile_parse(&c->file, "cameras", data, len), why, why_size);
}

void camerasfile_fini(struct camerasfile *c)
{
	for (size_t i = 0; i < c->count; i++)
		free(c->entries[i].owned_password);
	free(c->entries);
	c->entries = NULL;
	c->count = 0;
	yamlfile_fini(&c->file);
}
