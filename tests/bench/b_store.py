# SPDX-License-Identifier: Apache-2.0
"""The store alone: durable writes on local files against plain writing, or with --ceph guarded appends against `rados bench`."""
from benchlib import TOP, run_text

STORES = ("local", "ceph")


def run(bench):
    if bench.ceph:
        few = ("--rounds", 1, "--seconds", 1) if bench.args.smoke else ("--rounds", bench.args.rounds, "--seconds", bench.args.seconds)
        print(run_text(TOP / "tests" / "bench" / "store-vs-rados", bench.program("bench_store"), bench.ceph.dir, *few), end="")
    else:
        print(run_text(bench.program("bench_store_local"), bench.work, *((4, 16, 1) if bench.args.smoke else ())), end="")
