# SPDX-License-Identifier: Apache-2.0
"""How far a follower is behind: from the end of a fragment's footage, which is when its recorder hands it to the library, to its
arrival at a viewer who follows. Street footage in real time; a viewer a camera, and one who follows all of them merged."""
import json
import signal
import sys
import time

from benchlib import show, spread
from world import H264, Ledger, now_us, wait_for

STORES = ("local", "ceph")


def lags(child, since_us):
    """Seconds behind of what was captured while it followed."""
    child.process.send_signal(signal.SIGINT)
    child.process.wait(60)
    rows = [json.loads(line) for line in child.text().splitlines() if line.startswith("{")]
    return [row["behind_us"] / 1e6 for row in rows if row["capture_us"] >= since_us]


def run(bench):
    cameras, seconds = (2, 5) if bench.args.smoke else (16, max(60, bench.args.seconds))
    world = bench.world("follow", "ceph" if bench.ceph else "local")
    daemon = world.daemon(record__any_camera="true")
    ledger = Ledger(world)
    recorder = ledger.record(cameras, seconds + 30, H264)
    streams = lambda: {line.split()[1] for line in ledger.path.read_text().splitlines() if line.startswith("durable")} if ledger.path.exists() else ()  # noqa: E731
    wait_for(lambda: len(streams()) == cameras, "every camera records")
    names = [stream.split("/")[0] for stream in sorted(streams())]
    alone = [world.start("investigator", "follow", name, "--json", log=f"follow-{name}.out") for name in names]
    merged = world.start("investigator", "follow", *names, "--json", log="follow-all.out")
    time.sleep(2)
    since_us = now_us()
    time.sleep(seconds)
    results = {"alone": [lag for child in alone for lag in lags(child, since_us)], "merged": lags(merged, since_us)}
    recorder.stop()
    daemon.stop()
    if not all(results.values()):
        raise SystemExit(f"nothing was followed: see {world.work}")
    bench.forget(world)
    print(f"  {cameras} cameras, {seconds} s", file=sys.stderr)
    show(bench, {}, {})
    for name, values in results.items():
        print(f"  {name}: {spread(values)} of {len(values)} fragments, seconds")
