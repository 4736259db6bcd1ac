# SPDX-License-Identifier: Apache-2.0
"""Fetching long windows on Ceph over TLS, against `rados bench seq` on the same pool, and radosgw GET of 4 MiB with TLS.
At a time: 16 reads of rados bench, 8 curls, 8 windows of 2 programs."""
import json
import os
import subprocess
import sys
import time
from statistics import median

from benchlib import Meter, interleave, ratio, run_json, show
from radosgw import Radosgw, installed

STORES = ("ceph",)
CAMERAS, VIEWERS = 16, 2
FRAGMENT = 500_000  # a second of 4 Mb/s


def fetch(bench, world, daemon, since):
    """Whole recordings, by VIEWERS programs at a time, four windows each; once every camera twice."""
    meter, began = Meter(daemon, bench.ceph), time.monotonic()
    count = 1 if bench.args.smoke else 2 * CAMERAS // VIEWERS
    config = {**os.environ, "STEPPE_CONFIG": str(world.config("investigator"))}
    viewers = [subprocess.Popen([world.program, "bench", "fetch", "--json", "--from", since, "--window", "0s", "--count", str(count),
                                 "--cameras", str(CAMERAS), "--parallel", "4"], env=config, stdout=subprocess.PIPE, text=True)
               for _ in range(VIEWERS)]
    answers = [json.loads(viewer.communicate()[0]) for viewer in viewers]
    seconds = time.monotonic() - began
    if any(viewer.returncode for viewer in viewers) or any(answer["empty"] for answer in answers):
        raise SystemExit(f"not everything came: {answers}")
    megabytes = sum(answer["bytes"] for answer in answers) / 1e6
    return {"mb_per_s": megabytes / seconds, **meter.per_gb(megabytes), "first_p50_ms": median(a["first_p50_us"] / 1e3 for a in answers)}


def rados_seq(bench):
    meter = Meter(ceph=bench.ceph)
    rate, megabytes = bench.ceph.bench("steppe.data", bench.args.seconds, "seq", "-t", "16")
    return {"mb_per_s": rate, **meter.per_gb(megabytes)}


def radosgw_get(bench, radosgw, count):
    meter = Meter(ceph=bench.ceph)
    cpu = radosgw.cpu()
    rate, megabytes = radosgw.get(count, 8)
    figures = meter.per_gb(megabytes)
    server = (radosgw.cpu() - cpu) / megabytes * 1000
    return {"mb_per_s": rate, **figures, "cpu_s_per_gb": figures["cpu_s_per_gb"] + server, "radosgw_cpu_s_per_gb": server}


def run(bench):
    """All three have as much to read, once written: about a gigabyte and a half each."""
    objects = 8 if bench.args.smoke else 384
    world = bench.world("fetch", "ceph")
    daemon = world.daemon(record__any_camera="true")
    recorded = run_json(world.program, "bench", "ingest", "--json", "--streams", CAMERAS, "--rate", 0, "--fragment", FRAGMENT,
                        "--duration", "1s" if bench.args.smoke else "12s", config=world.config("recorder"))
    world.config("investigator")
    print(f"  recorded {recorded['bytes'] / 1e6:.0f} MB", file=sys.stderr)
    bench.ceph.bench("steppe.data", max(2, bench.args.seconds), "write", "-b", "4M", "-t", "16", "--no-cleanup")
    contenders = {"rados_seq": lambda turn: rados_seq(bench), "steppe": lambda turn: fetch(bench, world, daemon, "-1d")}
    ratios = [("steppe / rados bench seq, MB/s", "steppe", "rados_seq")]
    if installed():
        radosgw = Radosgw(bench.ceph)
        radosgw.fill(objects)
        contenders["radosgw"] = lambda turn: radosgw_get(bench, radosgw, objects)
        ratios += [("steppe / radosgw GET with TLS, MB/s", "steppe", "radosgw"), ("radosgw GET / rados bench seq, MB/s", "radosgw", "rados_seq")]
    else:
        print("  no radosgw here: apt-get install radosgw", file=sys.stderr)
    try:
        results = interleave(bench.args.rounds, contenders)
    finally:
        bench.ceph.rados("-p", "steppe.data", "cleanup", "--prefix", "benchmark_data")
    daemon.stop()
    bench.forget(world)
    show(bench, results, {words: ratio(results, "mb_per_s", name, other) for words, name, other in ratios})
