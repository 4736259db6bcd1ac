#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/format/protocol.md names every frame with its number, and every message, and no others.

usage: docs_agree.py SOURCE_ROOT
"""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
page = (root / 'docs/format/protocol.md').read_text()
header = (root / 'proto/frame.h').read_text()
messages = (root / 'proto/steppe.proto').read_text()

frames = {name: int(number) for name, number in re.findall(r'FRAME_([A-Z_]+) = (\d+)', header)}
rows = {name: int(number) for number, name in re.findall(r'^\| (\d+) \| `([A-Z_]+)` \|', page, re.M)}
at_rest = {'Cluster', 'ClusterLead'}
wanted = set(re.findall(r'^message (\w+)', messages, re.M)) - at_rest
table = '\n'.join(line for line in page.split('\n') if re.match(r'\| \d+ \| `[A-Z_]+`', line))
named = set(re.findall(r'`([A-Z][a-z]\w*)`', table))

for what, left, right in (('frames', set(frames.items()), set(rows.items())), ('messages', wanted, named)):
    if left != right:
        sys.exit('%s: the page lacks %s, and has beside %s' % (what, sorted(left - right), sorted(right - left)))
print('%d frames, %d messages' % (len(rows), len(named)))
