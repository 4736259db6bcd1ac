# SPDX-License-Identifier: Apache-2.0
"""How soon a random window's first fragment comes, and a day's timeline, over the index of a thousand cameras and thirty days, one
question at a time, nothing in a cache. With --ceph on that cluster, a tenth of the cameras: three copies of the index fill it.

Of the footage itself only the chunks are made that the windows lie in: the index is whole, the store holds fewer objects."""
import os
import subprocess
import sys

from benchlib import interleave, run_json, show

STORES = ("local", "ceph")
FRAGMENT = 125_000  # a second of 1 Mb/s


def forget_pages(folder):
    """What was written is read from the disk, as it would be long after."""
    for path in folder.rglob("*"):
        if path.is_file():
            fd = os.open(path, os.O_RDONLY)
            os.fdatasync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)


def run(bench):
    store = "ceph" if bench.ceph else "local"
    cameras, days, windows = (1000 if store == "local" else 100), 30, (500 if store == "local" else 300)
    if bench.args.smoke:
        cameras, days, windows = 3, 2, 5
    world = bench.world("lookup", store)
    made = subprocess.run([bench.program("make_archive"), world.store_url, *map(str, (cameras, days, windows, FRAGMENT))],
                          check=True, capture_output=True, text=True)
    print(f"  made {cameras} cameras, {days} days, {windows} windows", file=sys.stderr)

    def ask(_turn):
        if store == "local":
            forget_pages(world.work / "video")
        daemon = world.daemon(record__any_camera="true")
        world.config("investigator")
        done = run_json(bench.program("bench_lookup"), world.pki, "investigator", daemon.address, text=made.stdout)
        daemon.stop()
        return done

    results = interleave(min(bench.args.rounds, 3), {"lookup": ask})
    bench.forget(world)
    show(bench, results, {})
