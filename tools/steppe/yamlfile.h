/* SPDX-License-Identifier: Apache-2.0 */
/* YAML files read into structures by tables, with errors that name file and line. The first error
 * sticks. Strings live as long as the file. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <yaml.h>

struct yamlfile {
	char name[256];  /* as shown in errors */
	char error[384]; /* "config.yaml:3: ..."; "" while there is none */
	bool loaded;
	yaml_document_t document;
};

enum yaml_kind {
	YAML_STRING,  /* const char * */
	YAML_STRINGS, /* struct yaml_strings: a list, or one string */
	YAML_SIZE,    /* uint64_t: "4G" */
	YAML_YES,     /* bool */
	YAML_CHILD,   /* yaml_node_t *: a map or list for the caller to go on with */
};

#define YAML_STRINGS_MAX 64
struct yaml_strings {
	const char *items[YAML_STRINGS_MAX + 1]; /* ends with NULL */
	size_t count;
};

struct yaml_field {
	const char *key;
	enum yaml_kind kind;
	bool required;
	void *to;
};

/* 0; -errno when it cannot be read, STEPPE_E_CONFIG when it is no YAML: error has the words. */
int yamlfile_load(struct yamlfile *f, const char *path);
/* The same of bytes in memory. */
int yamlfile_parse(struct yamlfile *f, const char *name, const void *data, size_t len);
void yamlfile_fini(struct yamlfile *f);
/* NULL when the file is empty. */
yaml_node_t *yamlfile_root(struct yamlfile *f);
/* Fills the fields from a map; unknown keys, wrong kinds and missing fields are errors. 0 or
 * STEPPE_E_CONFIG. */
int yamlfile_fields(
	struct yamlfile *f, yaml_node_t *map, const struct yaml_field *fields, size_t count);
/* Item `index` of a list, NULL past the end or (an error) when `list` is none. */
yaml_node_t *yamlfile_item(struct yamlfile *f, yaml_node_t *list, size_t index);
/* Records an error at a node's line. */
void yamlfile_fail(struct yamlfile *f, const yaml_node_t *node, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
