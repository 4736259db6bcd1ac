/* SPDX-License-Identifier: Apache-2.0 */
/* What is written from the tables of commands: help on the terminal, man pages, the reference, and
 * bash completion. */
#pragma once

#include <stdio.h>

#include "tools/steppe/command.h"

/* All commands in one screen. */
void help_overview(FILE *to);
/* One command. */
void help_command(FILE *to, const struct command *c);
/* The commands of a group ("camera"); false when there is no such group. */
bool help_group(FILE *to, const char *group);
/* steppe(1) when `page` is "steppe", else steppe-PAGE(1); false when there is no such page. */
bool help_man(FILE *to, const char *page);
/* docs/reference/steppe.md and docs/reference/exit-codes.md. */
void help_markdown(FILE *to);
void help_exit_codes(FILE *to);
void help_bash_completion(FILE *to);

/* Whether `c` belongs to the group or page called `name`, by its first word. */
bool help_is_of(const struct command *c, const char *name);
/* Each option of a command: its own, then the common ones it has. NULL after the last. */
const struct option *help_option(const struct command *c, size_t index);
