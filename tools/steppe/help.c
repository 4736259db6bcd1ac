/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/steppe/help.h"

#include <string.h>

#include "client/steppe.h"
#include "tools/steppe/term.h"

#define TEXT_COLUMNS 80
#define HELP_INDENT  26

bool help_is_of(const struct command *c, const char *name)
{
	size_t len = strlen(name);
	return strncmp(c->name, name, len) == 0 && (c->name[len] == 0 || c->name[len] == ' ');
}

const struct option *help_option(const struct command *c, size_t index)
{
	const struct option *o = c->options;
	size_t i = 0;
	for (; o && o->name; o++)
		if (i++ == index)
			return o;
	for (o = command_common_options(); o->name; o++)
		if (command_has_common(c, o) && i++ == index)
			return o;
	return NULL;
}

/* Prints words, breaking lines between them; the first line already stands at column `at`. */
static void wrap(FILE *to, const char *text, unsigned indent, unsigned at)
{
	while (*text) {
		size_t len = strcspn(text, " ");
		if (at + 1 + len > TEXT_COLUMNS && at > indent) {
			fprintf(to, "\n%*s", (int)indent, "");
			at = indent;
		} else if (at > indent) {
			fputc(' ', to);
			at++;
		}
		fwrite(text, 1, len, to);
		at += (unsigned)len;
		text += len;
		text += strspn(text, " ");
	}
	fputc('\n', to);
}

/* Paragraphs are wrapped; lines that begin with a space, and empty ones, stay as they are. */
static void print_about(FILE *to, const char *text)
{
	char paragraph[1024];
	while (*text) {
		size_t len = strcspn(text, "\n");
		snprintf(paragraph, sizeof(paragraph), "%.*s", (int)len, text);
		if (len == 0 || paragraph[0] == ' ')
			fprintf(to, "%s\n", paragraph);
		else
			wrap(to, paragraph, 0, 0);
		text += len + (text[len] == '\n');
	}
}

static void print_option(FILE *to, const struct option *o, bool colour)
{
	char left[64], letter[8] = "    ";
	if (o->letter)
		snprintf(letter, sizeof(letter), "-%c, ", o->letter);
	int n = snprintf(left, sizeof(left), "  %s--%s%s%s", letter, o->name, o->value ? " " : "",
		o->value ? o->value : "");
	fprintf(to, "%s%s%s", term_code(TERM_BOLD, colour), left, term_code(TERM_PLAIN, colour));
	unsigned at = (unsigned)n;
	if (at + 1 > HELP_INDENT) {
		fputc('\n', to);
		at = 0;
	}
	fprintf(to, "%*s", (int)(HELP_INDENT - at), "");
	char help[512];
	int len = snprintf(help, sizeof(help), "%s", o->help);
	for (int i = 0; o->choices && o->choices[i]; i++)
		len += snprintf(help + len, sizeof(help) - (size_t)len, "%s%s", i ? ", " : ": ",
			o->choices[i]);
	if (o->initial)
		snprintf(help + len, sizeof(help) - (size_t)len, " (%s)", o->initial);
	wrap(to, help, HELP_INDENT, HELP_INDENT);
}

static void print_examples(FILE *to, const char *text, bool colour)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		bool comment = text[0] == '#';
		fprintf(to, "  %s%.*s%s\n", term_code(comment ? TERM_DIM : TERM_PLAIN, colour),
			(int)len, text, term_code(TERM_PLAIN, colour));
		text += len + (text[len] == '\n');
	}
}

static void heading(FILE *to, const char *words, bool colour)
{
	fprintf(to, "\n%s%s%s\n", term_code(TERM_BOLD, colour), words,
		term_code(TERM_PLAIN, colour));
}

void help_command(FILE *to, const struct command *c)
{
	bool colour = term_has_colour(to);
	fprintf(to, "%ssteppe %s%s%s%s [OPTION]...\n\n", term_code(TERM_BOLD, colour), c->name,
		term_code(TERM_PLAIN, colour), c->words[0] ? " " : "", c->words);
	print_about(to, c->about);
	heading(to, "Options", colour);
	const struct option *o;
	for (size_t i = 0; (o = help_option(c, i)); i++)
		print_option(to, o, colour);
	if (c->examples) {
		heading(to, "Examples", colour);
		print_examples(to, c->examples, colour);
	}
}

static void print_brief(FILE *to, const struct command *c, bool colour)
{
	fprintf(to, "  %s%-16s%s %s\n", term_code(TERM_BOLD, colour), c->name,
		term_code(TERM_PLAIN, colour), c->brief);
}

void help_overview(FILE *to)
{
	bool colour = term_has_colour(to);
	fprintf(to,
		"%ssteppe%s %s: footage into a Steppe cluster, and any window of it back\n\nusage: "
		"steppe COMMAND [OPTION]...\n\n",
		term_code(TERM_BOLD, colour), term_code(TERM_PLAIN, colour), steppe_version());
	for (size_t i = 0; commands[i]; i++)
		print_brief(to, commands[i], colour);
	fputs("\nsteppe COMMAND --help tells all about one. The cluster's address and certificates "
	      "are read from\n"
	      "--config FILE, $STEPPE_CONFIG or ~/.config/steppe/config.yaml; steppe pki issue "
	      "writes one.\n",
		to);
}

bool help_group(FILE *to, const char *group)
{
	bool any = false, colour = term_has_colour(to);
	for (size_t i = 0; commands[i]; i++) {
		if (!help_is_of(commands[i], group))
			continue;
		print_brief(to, commands[i], colour);
		any = true;
	}
	if (any)
		fprintf(to, "\nsteppe %s WORD --help tells all about one.\n", group);
	return any;
}
