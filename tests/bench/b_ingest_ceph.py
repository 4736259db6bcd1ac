# SPDX-License-Identifier: Apache-2.0
"""Ingest on Ceph: 64 streams over TLS, durable, in batches of 1 MiB, against `rados bench -b 4M -t 16 write` on the same pool."""
from benchlib import Meter, ingest, interleave, ratio, show

STORES = ("ceph",)


def rados_write(bench, _turn):
    meter = Meter(ceph=bench.ceph)
    rate, megabytes = bench.ceph.bench("steppe.data", bench.args.seconds, "write", "-b", "4M", "-t", "16")
    return {"mb_per_s": rate, **meter.per_gb(megabytes)}


def run(bench):
    results = interleave(bench.args.rounds, {
        "rados_bench": lambda turn: rados_write(bench, turn),
        "steppe": lambda turn: ingest(bench, turn, "ceph")})
    show(bench, results, {"steppe / rados bench, MB/s": ratio(results, "mb_per_s", "steppe", "rados_bench"),
                          "rados bench / steppe, all processes' CPU per GB": ratio(results, "cpu_s_per_gb", "rados_bench", "steppe")})
