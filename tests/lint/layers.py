#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks who includes whom against the table of docs/architecture.md, and that some libraries stay in the files they belong to."""
import pathlib
import re
import sys

top = pathlib.Path(__file__).resolve().parents[2]

# A room and the rooms it may include, itself always. The longest matching prefix of a file's path is its room.
MAY = {
    "base": [],
    "placement": ["base"],
    "proto": ["base"],
    "storaged/store": ["base"],
    "storaged/archive": ["base", "proto", "storaged/store"],
    "storaged/ownership": ["base", "placement", "proto", "storaged/store", "storaged/archive"],
    "storaged/session": ["base", "proto", "storaged/store", "storaged/archive", "storaged/ownership", "storaged/metrics.h"],
    "storaged": ["base", "proto", "placement", "storaged/store", "storaged/archive", "storaged/ownership", "storaged/session"],
    "client": ["base", "proto", "placement"],
    "tools/media": ["base", "proto", "client"],
    "tools/steppe": ["base", "proto", "client", "tools/media"],
    "tools": ["base", "client", "tools/media", "tools/steppe"],
}
# Files with a right of their own, and the reason.
EXTRA = {
    # the cluster's map travels: client and daemon must read it alike
    r"proto/cluster_(map|draft)\.[ch]": ["placement"],
    # offline checking opens the store itself
    r"tools/steppe/fsck.*\.[ch]": ["storaged/store", "storaged/archive"],
    # an exported clip carries the chunk's own boxes between its pictures, and they are what is proved
    r"tools/steppe/verify\.c": ["storaged/archive"],
    # a plan places cameras by the code that places real ones
    r"tools/steppe/plan\w*\.[ch]": ["placement"],
    # settings and counters know no rooms but the limits they set
    r"storaged/config\.h": ["storaged/archive"],
}
# A library's header may be included by these files alone.
ONLY = {
    r"rados/": r"storaged/store/(store_rados|ceph_)\w*\.[ch]|tests/.*",
    r"lmdb\.h": r"storaged/store/local_\w+\.[ch]|storaged/store/store_local\w*\.[ch]|tests/.*",
    r"openssl/": r"proto/tls\w*\.[ch]|proto/digest\.c|proto/pki\w*\.[ch]|tests/.*",
    r"lz4": r"proto/table\w*\.c|tests/.*",
    r"libav\w+/|libswscale/": r"tools/media/.*|tests/.*",
    r"uv\.h": r"base/loop_uv\.[ch]|proto/(link|tls)\w*\.[ch]|storaged/server\w*\.[ch]|client/cluster\w*\.[ch]|tests/.*",
    r"libwebsockets\.h": r"storaged/http\.c",
    r"yaml\.h": r"storaged/config_yaml\.c|tools/steppe/\w*config\w*\.c|tools/steppe/\w*yaml\w*\.[ch]|tools/steppe/cameras\w*\.c|tests/.*",
}


def room_of(path):
    best = ""
    for room in MAY:
        if (path == room or path.startswith(room + "/")) and len(room) > len(best):
            best = room
    return best


def main():
    faults = []
    for file in sorted(top.rglob("*.[ch]")):
        path = file.relative_to(top).as_posix()
        if path.split("/")[0].startswith(("build", ".", "run")):
            continue
        room = room_of(path)
        may = list(MAY.get(room, []))
        for pattern, extra in EXTRA.items():
            if re.fullmatch(pattern, path):
                may += extra
        for number, line in enumerate(file.read_text().splitlines(), 1):
            quoted = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            system = re.match(r"\s*#\s*include\s+<([^>]+)>", line)
            if quoted and room:
                wanted = quoted.group(1)
                target = room_of(wanted)
                if target and target != room and target not in may and wanted not in may:
                    faults.append(f"{path}:{number}: {room} may not include {wanted}")
            if system:
                for pattern, where in ONLY.items():
                    if re.match(pattern, system.group(1)) and not re.fullmatch(where, path):
                        faults.append(f"{path}:{number}: <{system.group(1)}> belongs in {where}")
    for fault in faults:
        print(fault)
    return 1 if faults else 0


sys.exit(main())
