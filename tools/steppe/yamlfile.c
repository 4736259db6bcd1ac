/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/steppe/yamlfile.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "client/steppe.h"
#include "tools/steppe/options.h"

void yamlfile_fail(struct yamlfile *f, const yaml_node_t *node, const char *format, ...)
{
	char words[256];
	va_list args;
	if (f->error[0])
		return;
	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	if (node)
		snprintf(f->error, sizeof(f->error), "%.120s:%zu: %s", f->name,
			node->start_mark.line + 1, words);
	else
		snprintf(f->error, sizeof(f->error), "%.120s: %s", f->name, words);
}

static int load(struct yamlfile *f, yaml_parser_t *parser)
{
	f->loaded = yaml_parser_load(parser, &f->document);
	if (!f->loaded)
		snprintf(f->error, sizeof(f->error), "%.120s:%zu: %s", f->name,
			parser->problem_mark.line + 1,
			parser->problem ? parser->problem : "not YAML");
	yaml_parser_delete(parser);
	return f->loaded ? 0 : STEPPE_E_CONFIG;
}

int yamlfile_load(struct yamlfile *f, const char *path)
{
	yaml_parser_t parser;
	*f = (struct yamlfile){.loaded = false};
	snprintf(f->name, sizeof(f->name), "%s", path);
	FILE *in = fopen(path, "re");
	if (!in) {
		int error = -errno;
		snprintf(f->error, sizeof(f->error), "%.200s: %s", path, strerror(-error));
		return error;
	}
	int error = -ENOMEM;
	if (yaml_parser_initialize(&parser)) {
		yaml_parser_set_input_file(&parser, in);
		error = load(f, &parser);
	}
	fclose(in);
	return error;
}

int yamlfile_parse(struct yamlfile *f, const char *name, const void *data, size_t len)
{
	yaml_parser_t parser;
	*f = (struct yamlfile){.loaded = false};
	snprintf(f->name, sizeof(f->name), "%s", name);
	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_input_string(&parser, data, len);
	return load(f, &parser);
}

void yamlfile_fini(struct yamlfile *f)
{
	if (f->loaded)
		yaml_document_delete(&f->document);
	f->loaded = false;
}

yaml_node_t *yamlfile_root(struct yamlfile *f)
{
	return yaml_document_get_root_node(&f->document);
}

static const char *text_of(const yaml_node_t *node)
{
	return node && node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value
						      : NULL;
}

static void set_strings(struct yamlfile *f, const struct yaml_field *field, yaml_node_t *value)
{
	struct yaml_strings *list = field->to;
	if (text_of(value)) {
		list->items[list->count++] = text_of(value);
		return;
	}
	yaml_node_t *item;
	for (size_t i = 0; (item = yamlfile_item(f, value, i)); i++) {
		if (!text_of(item))
			yamlfile_fail(f, item, "%s: a string is wanted here", field->key);
		else if (list->count == YAML_STRINGS_MAX)
			yamlfile_fail(f, item, "%s: at most %d are possible", field->key,
				YAML_STRINGS_MAX);
		else
			list->items[list->count++] = text_of(item);
		if (f->error[0])
			return;
	}
}

static bool is_one_of(const char *text, const char *a, const char *b, const char *c)
{
	return strcasecmp(text, a) == 0 || strcasecmp(text, b) == 0 || strcasecmp(text, c) == 0;
}

static void set(struct yamlfile *f, const struct yaml_field *field, yaml_node_t *value)
{
	const char *text = text_of(value);
	if (field->kind == YAML_CHILD) {
		*(yaml_node_t **)field->to = value;
	} else if (field->kind == YAML_STRINGS) {
		set_strings(f, field, value);
	} else if (!text) {
		yamlfile_fail(
			f, value, "%s: one value is wanted here, not a list or map", field->key);
	} else if (field->kind == YAML_STRING) {
		*(const char **)field->to = text;
	} else if (field->kind == YAML_SIZE) {
		if (option_parse_size(text, field->to))
			yamlfile_fail(f, value,
				"%s: \"%.40s\" is not a size such as 4096, 16M or 4G", field->key,
				text);
	} else if (is_one_of(text, "yes", "true", "on") || is_one_of(text, "no", "false", "off")) {
		*(bool *)field->to = is_one_of(text, "yes", "true", "on");
	} else {
		yamlfile_fail(f, value, "%s: \"%.40s\" is neither yes nor no", field->key, text);
	}
}

static void unknown(
	struct yamlfile *f, const yaml_node_t *key, const struct yaml_field *fields, size_t count)
{
	char known[160] = "";
	size_t at = 0;
	for (size_t i = 0; i < count && at < sizeof(known); i++)
		at += (size_t)snprintf(
			known + at, sizeof(known) - at, "%s%s", i ? ", " : "", fields[i].key);
	yamlfile_fail(f, key, "\"%.40s\" is no key here; there are: %s",
		text_of(key) ? text_of(key) : "?", known);
}

int yamlfile_fields(
	struct yamlfile *f, yaml_node_t *map, const struct yaml_field *fields, size_t count)
{
	bool seen[32] = {false};
	if (!map || map->type != YAML_MAPPING_NODE || count > 32) {
		yamlfile_fail(f, map, "a map of keys and values is wanted here");
		return STEPPE_E_CONFIG;
	}
	for (yaml_node_pair_t *p = map->data.mapping.pairs.start;
		p < map->data.mapping.pairs.top && !f->error[0]; p++) {
		const yaml_node_t *key = yaml_document_get_node(&f->document, p->key);
		yaml_node_t *value = yaml_document_get_node(&f->document, p->value);
		size_t i = 0;
		while (i < count && !(text_of(key) && strcmp(text_of(key), fields[i].key) == 0))
			i++;
		if (i == count)
			unknown(f, key, fields, count);
		else if (seen[i])
			yamlfile_fail(f, key, "%s: given twice", fields[i].key);
		else
			set(f, &fields[i], value);
		if (i < count)
			seen[i] = true;
	}
	for (size_t i = 0; i < count && !f->error[0]; i++)
		if (fields[i].required && !seen[i])
			yamlfile_fail(f, map, "%s is missing", fields[i].key);
	return f->error[0] ? STEPPE_E_CONFIG : 0;
}

yaml_node_t *yamlfile_item(struct yamlfile *f, yaml_node_t *list, size_t index)
{
	if (!list || list->type != YAML_SEQUENCE_NODE) {
		yamlfile_fail(f, list, "a list is wanted here");
		return NULL;
	}
	size_t count = (size_t)(list->data.sequence.items.top - list->data.sequence.items.start);
	return index < count ? yaml_document_get_node(
				       &f->document, list->data.sequence.items.start[index])
			     : NULL;
}
