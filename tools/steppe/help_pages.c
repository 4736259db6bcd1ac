/* SPDX-License-Identifier: Apache-2.0 */
/* Man pages, the reference and the completion, from the same tables as the help on the terminal. */
#include <string.h>

#include "client/steppe.h"
#include "tools/steppe/help.h"

/* --- man pages --- */

/* Text for roff: dashes that stay dashes, no line that looks like a request. */
static void roff(FILE *to, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		bool line_start = i == 0 || text[i - 1] == '\n';
		if (line_start && (text[i] == '.' || text[i] == '\''))
			fputs("\\&", to);
		if (text[i] == '\\')
			fputs("\\e", to);
		else if (text[i] == '-')
			fputs("\\-", to);
		else
			fputc(text[i], to);
	}
}

static void roff_all(FILE *to, const char *text)
{
	roff(to, text, strlen(text));
}

static void roff_about(FILE *to, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		if (len == 0) {
			fputs(".PP\n", to);
		} else if (text[0] == ' ') {
			fputs(".br\n\\ \\ ", to);
			roff(to, text + 1, len - 1);
			fputc('\n', to);
		} else {
			roff(to, text, len);
			fputc('\n', to);
		}
		text += len + (text[len] == '\n');
	}
}

static void roff_option(FILE *to, const struct option *o)
{
	fputs(".TP\n", to);
	if (o->letter)
		fprintf(to, "\\fB\\-%c\\fR, ", o->letter);
	fputs("\\fB\\-\\-", to);
	roff_all(to, o->name);
	fputs("\\fR", to);
	if (o->value)
		fprintf(to, " \\fI%s\\fR", o->value);
	fputc('\n', to);
	roff_all(to, o->help);
	for (int i = 0; o->choices && o->choices[i]; i++) {
		fputs(i ? ", " : ": ", to);
		roff_all(to, o->choices[i]);
	}
	if (o->initial) {
		fputs(" (default ", to);
		roff_all(to, o->initial);
		fputc(')', to);
	}
	fputs(".\n", to);
}

static void roff_examples(FILE *to, const char *text)
{
	fputs(".nf\n", to);
	roff_all(to, text);
	fputs("\n.fi\n", to);
}

static void roff_command(FILE *to, const struct command *c, bool alone)
{
	if (!alone) {
		fputs(".SH \"STEPPE ", to);
		for (const char *p = c->name; *p; p++)
			fputc(*p >= 'a' && *p <= 'z' ? *p - 32 : *p, to);
		fputs("\"\n", to);
		fprintf(to, "\\fBsteppe %s\\fR %s [\\fIOPTION\\fR]...\n.PP\n", c->name, c->words);
	}
	roff_about(to, c->about);
	fputs(alone ? ".SH OPTIONS\n" : ".PP\nOptions:\n", to);
	const struct option *o;
	for (size_t i = 0; (o = help_option(c, i)); i++)
		roff_option(to, o);
	if (c->examples) {
		fputs(alone ? ".SH EXAMPLES\n" : ".PP\nExamples:\n.PP\n", to);
		roff_examples(to, c->examples);
	}
}

static void roff_exit_codes(FILE *to)
{
	fputs(".SH \"EXIT STATUS\"\n", to);
	for (const struct exit_entry *e = exit_entries; e->meaning; e++) {
		fprintf(to, ".TP\n%d\n", e->number);
		roff_all(to, e->meaning);
		fputs(".\n", to);
	}
}

static void man_overview(FILE *to)
{
	fprintf(to,
		".TH STEPPE 1 \"\" \"steppe %s\"\n.SH NAME\nsteppe \\- footage into a Steppe "
		"cluster, and any window of it back\n",
		steppe_version());
	fputs(".SH SYNOPSIS\n\\fBsteppe\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR]...\n.SH COMMANDS\n",
		to);
	for (size_t i = 0; commands[i]; i++)
		fprintf(to, ".TP\n\\fB%s\\fR\n%s.\n", commands[i]->name, commands[i]->brief);
	fputs(".SH FILES\n.TP\n\\fI~/.config/steppe/config.yaml\\fR\nThe cluster's addresses and "
	      "certificates, "
	      "unless \\fB\\-\\-config\\fR or \\fB$STEPPE_CONFIG\\fR names another file.\n",
		to);
	roff_exit_codes(to);
	fputs(".SH \"SEE ALSO\"\n", to);
	const char *last = "";
	for (size_t i = 0; commands[i]; i++) {
		size_t len = strcspn(commands[i]->name, " ");
		if (strncmp(last, commands[i]->name, len) == 0 && strcspn(last, " ") == len)
			continue;
		fprintf(to, "%s\\fBsteppe\\-%.*s\\fR(1)", last[0] ? ", " : "", (int)len,
			commands[i]->name);
		last = commands[i]->name;
	}
	fputs(", \\fBstoraged\\fR(8)\n", to);
}

bool help_man(FILE *to, const char *page)
{
	unsigned count = 0;
	const struct command *only = NULL;
	if (strcmp(page, "steppe") == 0) {
		man_overview(to);
		return true;
	}
	for (size_t i = 0; commands[i]; i++) {
		if (help_is_of(commands[i], page)) {
			count++;
			only = commands[i];
		}
	}
	if (count == 0)
		return false;
	bool alone = count == 1 && strcmp(only->name, page) == 0;
	fprintf(to, ".TH \"STEPPE\\-%s\" 1 \"\" \"steppe %s\"\n.SH NAME\nsteppe\\-%s \\- ", page,
		steppe_version(), page);
	if (alone) {
		roff_all(to, only->brief);
		fprintf(to,
			"\n.SH SYNOPSIS\n\\fBsteppe %s\\fR %s [\\fIOPTION\\fR]...\n.SH "
			"DESCRIPTION\n",
			page, only->words);
		roff_command(to, only, true);
	} else {
		fprintf(to, "the commands of the group %s\n", page);
		for (size_t i = 0; commands[i]; i++)
			if (help_is_of(commands[i], page))
				roff_command(to, commands[i], false);
	}
	roff_exit_codes(to);
	fputs(".SH \"SEE ALSO\"\n\\fBsteppe\\fR(1)\n", to);
	return true;
}

/* --- the reference --- */

static void markdown_option(FILE *to, const struct option *o)
{
	fputs("| `", to);
	if (o->letter)
		fprintf(to, "-%c`, `", o->letter);
	fprintf(to, "--%s%s%s` | %s", o->name, o->value ? " " : "", o->value ? o->value : "",
		o->help);
	for (int i = 0; o->choices && o->choices[i]; i++)
		fprintf(to, "%s`%s`", i ? ", " : ": ", o->choices[i]);
	if (o->initial)
		fprintf(to, " (default `%s`)", o->initial);
	fputs(" |\n", to);
}

static void markdown_about(FILE *to, const char *text)
{
	bool code = false;
	while (*text) {
		size_t len = strcspn(text, "\n");
		bool literal = text[0] == ' ';
		if (literal != code)
			fputs("```\n", to);
		code = literal;
		fprintf(to, "%.*s\n", (int)len, text);
		text += len + (text[len] == '\n');
	}
	if (code)
		fputs("```\n", to);
}

void help_markdown(FILE *to)
{
	fputs("# The command `steppe`\n\nWritten by `steppe help --markdown` from the same tables "
	      "as `--help` and the man pages; "
	      "a test keeps it so.\nExit codes: [exit-codes.md](exit-codes.md). Refusals: "
	      "[refusals.md](refusals.md).\n\n",
		to);
	for (size_t i = 0; commands[i]; i++)
		fprintf(to, "- `steppe %s`: %s\n", commands[i]->name, commands[i]->brief);
	for (size_t i = 0; commands[i]; i++) {
		const struct command *c = commands[i];
		fprintf(to, "\n## steppe %s\n\n`steppe %s%s%s [OPTION]...`\n\n", c->name, c->name,
			c->words[0] ? " " : "", c->words);
		markdown_about(to, c->about);
		fputs("\n| option | |\n|---|---|\n", to);
		const struct option *o;
		for (size_t n = 0; (o = help_option(c, n)); n++)
			markdown_option(to, o);
		if (c->examples)
			fprintf(to, "\n```sh\n%s\n```\n", c->examples);
	}
}

void help_exit_codes(FILE *to)
{
	fputs("# Exit codes of `steppe`\n\nWritten by `steppe help --exit-codes` from the table in "
	      "the program; a test keeps it so. "
	      "Numbers are for ever.\n\n| code | meaning | what to do |\n|---|---|---|\n",
		to);
	for (const struct exit_entry *e = exit_entries; e->meaning; e++)
		fprintf(to, "| %d | %s | %s |\n", e->number, e->meaning, e->advice);
}

/* --- completion --- */

static void bash_values(FILE *to, const struct command *c)
{
	const struct option *o;
	for (size_t i = 0; (o = help_option(c, i)); i++) {
		if (o->kind == OPTION_FLAG)
			continue;
		fprintf(to, "\t\"%s\":--%s", c->name, o->name);
		if (o->letter)
			fprintf(to, "|\"%s\":-%c", c->name, o->letter);
		fputs(") ", to);
		if (o->kind == OPTION_FILE) {
			fputs("compopt -o filenames; COMPREPLY=($(compgen -f -- \"$cur\"))", to);
		} else if (o->kind == OPTION_CHOICE) {
			fputs("COMPREPLY=($(compgen -W \"", to);
			for (int n = 0; o->choices[n]; n++)
				fprintf(to, "%s%s", n ? " " : "", o->choices[n]);
			fputs("\" -- \"$cur\"))", to);
		} else if (o->kind == OPTION_TIME) {
			fputs("COMPREPLY=($(compgen -W \"now -1m -15m -1h -1d $(date +%Y-%m-%d)\" "
			      "-- \"$cur\"))",
				to);
		} else {
			fputs(":", to);
		}
		fputs("; return;;\n", to);
	}
}

/* First words of commands, and the second words of groups. */
static void bash_words(FILE *to)
{
	fputs("\tcase \"$words\" in\n\t\"\") COMPREPLY=($(compgen -W \"", to);
	const char *last = "";
	for (size_t i = 0; commands[i]; i++) {
		size_t len = strcspn(commands[i]->name, " ");
		if (strncmp(last, commands[i]->name, len) != 0 || strcspn(last, " ") != len)
			fprintf(to, "%s%.*s", i ? " " : "", (int)len, commands[i]->name);
		last = commands[i]->name;
	}
	fputs("\" -- \"$cur\")); return;;\n", to);
	for (size_t i = 0; commands[i]; i++) {
		const char *space = strchr(commands[i]->name, ' ');
		size_t len = space ? (size_t)(space - commands[i]->name) : 0;
		if (!space ||
			(i > 0 && strncmp(commands[i - 1]->name, commands[i]->name, len + 1) == 0))
			continue;
		fprintf(to, "\t%.*s) COMPREPLY=($(compgen -W \"", (int)len, commands[i]->name);
		for (size_t k = i;
			commands[k] && strncmp(commands[k]->name, commands[i]->name, len + 1) == 0;
			k++)
			fprintf(to, "%s%s", k > i ? " " : "", commands[k]->name + len + 1);
		fputs("\" -- \"$cur\")); return;;\n", to);
	}
	fputs("\tesac\n", to);
}

static bool takes_camera(const struct command *c)
{
	return strstr(c->words, "CAMERA") && (c->uses & USES_CLUSTER) &&
	       strcmp(c->name, "camera add") != 0;
}

void help_bash_completion(FILE *to)
{
	fputs("# bash completion of steppe; written by steppe help --bash-completion\n"
	      "_steppe()\n{\n"
	      "\tlocal cur=\"${COMP_WORDS[COMP_CWORD]}\" prev=\"${COMP_WORDS[COMP_CWORD-1]}\" "
	      "words=\"\" config=\"\" i\n"
	      "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	      "\t\t[[ ${COMP_WORDS[i]} == --config || ${COMP_WORDS[i]} == -c ]] && "
	      "config=\"${COMP_WORDS[i+1]}\"\n"
	      "\t\t[[ ${COMP_WORDS[i]} == -* ]] && break\n"
	      "\t\twords=\"${words:+$words }${COMP_WORDS[i]}\"\n\tdone\n"
	      "\tlocal group=\"${words%% *}\"\n\tlocal command=\"$group\"\n"
	      "\tcase \"$group\" in\n",
		to);
	for (size_t i = 0; commands[i]; i++) {
		const char *space = strchr(commands[i]->name, ' ');
		size_t len = space ? (size_t)(space - commands[i]->name) : 0;
		if (space &&
			(i == 0 || strncmp(commands[i - 1]->name, commands[i]->name, len + 1) != 0))
			fprintf(to,
				"\t%.*s) command=\"$group $(cut -d' ' -f2 <<<\"$words\")\"; [[ "
				"$words == *\" \"* ]] || command=\"\";;\n",
				(int)len, commands[i]->name);
	}
	fputs("\tesac\n\tcase \"$command:$prev\" in\n", to);
	for (size_t i = 0; commands[i]; i++)
		bash_values(to, commands[i]);
	fputs("\tesac\n", to);
	bash_words(to);
	fputs("\tif [[ $cur == -* ]]; then\n\t\tcase \"$command\" in\n", to);
	for (size_t i = 0; commands[i]; i++) {
		fprintf(to, "\t\t\"%s\") COMPREPLY=($(compgen -W \"", commands[i]->name);
		const struct option *o;
		for (size_t n = 0; (o = help_option(commands[i], n)); n++)
			fprintf(to, "%s--%s", n ? " " : "", o->name);
		fputs("\" -- \"$cur\")); return;;\n", to);
	}
	fputs("\t\tesac\n\tfi\n\tcase \"$command\" in\n", to);
	for (size_t i = 0; commands[i]; i++)
		if (takes_camera(commands[i]))
			fprintf(to,
				"\t\"%s\") [[ $words == \"$command\" ]] && COMPREPLY=($(compgen -W "
				"\"$(timeout 1 steppe camera list --quiet "
				"${config:+--config \"$config\"} 2>/dev/null)\" -- \"$cur\"));;\n",
				commands[i]->name);
	fputs("\tesac\n"
	      "\tif [[ ${#COMPREPLY[@]} == 0 ]]; then compopt -o filenames; COMPREPLY=($(compgen "
	      "-f -- \"$cur\")); fi\n"
	      "}\ncomplete -F _steppe steppe\n",
		to);
}
