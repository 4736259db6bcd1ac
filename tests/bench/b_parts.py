# SPDX-License-Identifier: Apache-2.0
"""What storaged costs a gigabyte of ingest against its bare parts: TLS receive, crc32c and the same writes, by bench_bare.
With --ceph on that cluster, else on local files."""
from benchlib import STREAMS, ingest, interleave, ratio, run_json, show

STORES = ("local", "ceph")


def bare(bench, store):
    where = ["rados", bench.ceph.conf, "steppe", "steppe.data"] if store == "ceph" else ["file", bench.work]
    answer = run_json(bench.program("bench_bare"), "--seconds", bench.args.seconds, "--streams",
                      4 if bench.args.smoke else STREAMS, *where)
    return {key: answer[key] for key in ("mb_per_s", "cpu_s_per_gb", "sender_cpu_s_per_gb")}


def storaged(bench, turn, store):
    figures = ingest(bench, turn, store)
    return {"mb_per_s": figures["mb_per_s"], "cpu_s_per_gb": figures["storaged_cpu_s_per_gb"]}


def run(bench):
    store = "ceph" if bench.ceph else "local"
    results = interleave(bench.args.rounds, {
        "bare": lambda turn: bare(bench, store),
        "storaged": lambda turn: storaged(bench, turn, store)})
    show(bench, results, {f"storaged / bare parts on {store}, CPU per GB": ratio(results, "cpu_s_per_gb", "storaged", "bare")})
