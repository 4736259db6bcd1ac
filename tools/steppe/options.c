/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/steppe/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/timetext.h"

static int parse_scaled(const char *text, uint64_t unit, uint64_t *ret_value)
{
	static const char suffixes[] = "kmgt";
	char *end;
	errno = 0;
	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	uint64_t v = strtoull(text, &end, 10);
	if (errno)
		return -EINVAL;
	if (*end) {
		char lower = (char)(*end | 0x20);
		const char *at = strchr(suffixes, lower);
		if (!at || end[1])
			return -EINVAL;
		for (long i = 0; i <= at - suffixes; i++)
			if (__builtin_mul_overflow(v, unit, &v))
				return -EINVAL;
	}
	*ret_value = v;
	return 0;
}

int option_parse_size(const char *text, uint64_t *ret_bytes)
{
	return parse_scaled(text, 1024, ret_bytes);
}

int option_parse_rate(const char *text, uint64_t *ret_bits)
{
	return parse_scaled(text, 1000, ret_bits);
}

static int set_count(const char *text, uint32_t *to)
{
	char *end;
	errno = 0;
	unsigned long v = strtoul(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || v > UINT32_MAX)
		return -EINVAL;
	*to = (uint32_t)v;
	return 0;
}

static int set_decimal(const char *text, double *to)
{
	char *end;
	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	double v = strtod(text, &end);
	if (*end || !(v <= 1e15))
		return -EINVAL;
	*to = v;
	return 0;
}

static int set_choice(const struct option *o, const char *text, int *to)
{
	for (int i = 0; o->choices[i]; i++) {
		if (strcmp(o->choices[i], text) == 0) {
			*to = i;
			return 0;
		}
	}
	return -EINVAL;
}

static int add_to_list(struct option_list *list, char *text)
{
	if (list->is_initial)
		*list = (struct option_list){.count = 0};
	for (char *item; (item = strsep(&text, ","));) {
		if (list->count == OPTION_LIST_MAX)
			return -E2BIG;
		list->items[list->count++] = item;
	}
	return 0;
}

/* What a value of the kind looks like, for the message about one that does not. */
static const char *form_of(enum option_kind kind)
{
	switch (kind) {
	case OPTION_TIME:
		return "a time such as 2026-11-23T21:40:00+08:00, now, -15m or @1795470000000000";
	case OPTION_DURATION:
		return "a duration such as 500ms, 90s, 15m, 2h or 30d";
	case OPTION_SIZE:
		return "a size such as 4096, 256K or 4M";
	case OPTION_RATE:
		return "a bit rate such as 500k or 4M";
	case OPTION_VOLUME:
		return "a volume such as 500G or 18T";
	case OPTION_DECIMAL:
		return "a number such as 1.4";
	case OPTION_COUNT:
		return "a number";
	case OPTION_LIST:
		return "a list of at most 16 items";
	default:
		return "a value";
	}
}

static void complain(const struct option *o, const char *text, char *why, size_t size)
{
	if (o->kind != OPTION_CHOICE) {
		snprintf(why, size, "--%s: \"%.60s\" is not %s", o->name, text, form_of(o->kind));
		return;
	}
	int n = snprintf(why, size, "--%s: \"%.60s\" is not one of", o->name, text);
	for (int i = 0; o->choices[i] && n > 0 && (size_t)n < size; i++)
		n += snprintf(why + n, size - (size_t)n, "%s %s", i ? "," : "", o->choices[i]);
}

int option_set(
	const struct option *o, void *args, char *text, struct wall now, char *why, size_t why_size)
{
	void *to = (char *)args + o->offset;
	int error = 0;
	switch (o->kind) {
	case OPTION_FLAG:
		*(bool *)to = true;
		break;
	case OPTION_STRING:
	case OPTION_FILE:
		*(const char **)to = text;
		break;
	case OPTION_LIST:
		error = add_to_list(to, text);
		break;
	case OPTION_TIME:
		error = timetext_parse(text, now, to);
		break;
	case OPTION_DURATION:
		error = timetext_parse_duration(text, to);
		break;
	case OPTION_SIZE:
		error = option_parse_size(text, to);
		break;
	case OPTION_RATE:
	case OPTION_VOLUME:
		error = option_parse_rate(text, to);
		break;
	case OPTION_DECIMAL:
		error = set_decimal(text, to);
		break;
	case OPTION_COUNT:
		error = set_count(text, to);
		break;
	case OPTION_CHOICE:
		error = set_choice(o, text, to);
		break;
	}
	if (!error)
		return 0;
	complain(o, text, why, why_size);
	return -EINVAL;
}

void options_defaults(const struct option *table, void *args, struct wall now)
{
	char why[8];
	for (const struct option *o = table; o->name; o++) {
		if (o->kind == OPTION_TIME)
			((struct wall *)(void *)((char *)args + o->offset))->us = -1;
		if (!o->initial)
			continue;
		if (o->kind == OPTION_LIST)
			*(struct option_list *)(void *)((char *)args + o->offset) =
				(struct option_list){
					.items = {o->initial}, .count = 1, .is_initial = true};
		else /* tables are ours: their values are good */
			(void)option_set(o, args, (char *)o->initial, now, why, sizeof(why));
	}
}

const struct option *option_find(const struct option *table, const char *name, size_t len)
{
	for (const struct option *o = table; o->name; o++)
		if (strlen(o->name) == len && memcmp(o->name, name, len) == 0)
			return o;
	return NULL;
}

const struct option *option_by_letter(const struct option *table, char letter)
{
	for (const struct option *o = table; o->name; o++)
		if (o->letter && o->letter == letter)
			return o;
	return NULL;
}
