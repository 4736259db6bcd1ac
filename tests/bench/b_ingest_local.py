# SPDX-License-Identifier: Apache-2.0
"""Ingest on the local store, the client on the same cores, against plain sequential writing of the same bytes with one sync a second."""
import os
import time

from benchlib import ingest, interleave, ratio, show

STORES = ("local",)
BLOCK = 1 << 20


def plain(bench):
    noise = [os.urandom(BLOCK) for _ in range(8)]
    path = bench.work / "plain"
    cpu = time.process_time()
    began = synced = time.monotonic()
    count = 0
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    while time.monotonic() - began < bench.args.seconds:
        os.write(fd, noise[count % 8])
        count += 1
        if time.monotonic() - synced >= 1:
            os.fdatasync(fd)
            synced = time.monotonic()
    os.fdatasync(fd)
    megabytes = count * BLOCK / 1e6
    figures = {"mb_per_s": megabytes / (time.monotonic() - began), "cpu_s_per_gb": (time.process_time() - cpu) / megabytes * 1000}
    os.close(fd)
    path.unlink()
    return figures


def run(bench):
    results = interleave(bench.args.rounds, {
        "plain": lambda turn: plain(bench),
        "steppe": lambda turn: ingest(bench, turn, "local")})
    show(bench, results, {"steppe / plain writing, MB/s": ratio(results, "mb_per_s", "steppe", "plain")})
