#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that documents agree with the code: links lead somewhere, generated pages are what the programs print."""
import pathlib
import re
import subprocess
import sys

top = pathlib.Path(__file__).resolve().parents[2]


def dead_links():
    for page in [top / "README.md", *sorted((top / "docs").rglob("*.md"))]:
        for number, line in enumerate(page.read_text().splitlines(), 1):
            for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", line):
                if "://" not in target and not (page.parent / target).exists():
                    yield f"{page.relative_to(top)}:{number}: {target} does not exist"


def settings():
    """docs/reference/storaged.md holds the table that `storaged --settings` prints."""
    program = top / "build" / "gcc" / "storaged" / "storaged"
    page = top / "docs" / "reference" / "storaged.md"
    if program.exists():
        table = subprocess.run([program, "--settings"], capture_output=True, text=True, check=True).stdout
        if not page.exists() or table not in page.read_text():
            yield f"{page.relative_to(top)}: not the table of `storaged --settings`"


def main():
    faults = [*dead_links(), *settings()]
    for fault in faults:
        print(fault)
    return 1 if faults else 0


sys.exit(main())
