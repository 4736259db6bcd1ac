#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks what a compiler does not: SPDX lines, file lengths, words that mark unfinished work, headers that begin with what they are."""
import pathlib
import re
import subprocess
import sys

top = pathlib.Path(__file__).resolve().parents[2]
LONGEST = 500
LONGEST_TEST = 1000  # a list of cases
WORDS = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK", "not imple" + "mented"]) + r")\b")


def main():
    faults = []
    listed = subprocess.run(["git", "-C", str(top), "ls-files"], capture_output=True, text=True, check=True).stdout.split("\n")
    for path in filter(None, listed):
        file = top / path
        if not file.is_file() or not re.search(r"\.(c|h|py|proto|sh|js)$|^(check|quickstart)$", path):
            continue
        text = file.read_text(errors="replace")
        lines = text.split("\n")
        if not any("SPDX-License-Identifier: Apache-2.0" in line for line in lines[:3]):
            faults.append(f"{path}:1: no SPDX line")
        longest = LONGEST_TEST if path.startswith("tests/") else LONGEST
        if len(lines) > longest + 1:
            faults.append(f"{path}:{longest}: longer than {longest} lines")
        for number, line in enumerate(lines, 1):
            if WORDS.search(line):
                faults.append(f"{path}:{number}: unfinished: {line.strip()}")
        if path.endswith(".h") and not path.startswith("client/steppe.h"):
            if len(lines) < 4 or not lines[1].startswith("/* ") or not re.search(r"^#pragma once$", text, re.M):
                faults.append(f"{path}:2: a header begins with what it is, and has #pragma once")
    for fault in faults:
        print(fault)
    return 1 if faults else 0


sys.exit(main())
