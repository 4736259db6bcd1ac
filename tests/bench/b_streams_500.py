# SPDX-License-Identifier: Apache-2.0
"""500 streams of 4 Mb/s in real time on the local store: does it keep up, what do memory and processors say. --seconds 120 is the
promise; 30 otherwise.

Retention removes nothing younger than an hour, so footage is deleted behind the run from outside: files of chunks that have not
grown for a while are sealed, and are unlinked. With chunks of a minute about 20 GB lie on the disk at the same time, less in shorter runs."""
import json
import shutil
import subprocess
import time

from benchlib import cpu_of, machine, memory_of
from world import Failure

STORES = ("local",)
RATE = 4_000_000
SEALED_AFTER_S = 15  # open chunks grow every second
KEPT_BYTES = 24 << 30
TABLES = 176 * 60 + 16 * 25 * 60  # docs/design/writing.md: of a chunk of a minute, which realloc may hold twice
KEPT_BUFFERS = 16 << 20  # base/largebuf.h
FIXED = 7.6 * 1024 + 0.3 * 1024 + 2.3 * 1024 + 1024


def delete_behind(folder):
    """Frees what was sealed; how much that was."""
    freed, now = 0, time.time()
    for path in (folder / "data" / "chk").glob("*/*/*.mp4"):
        status = path.stat()
        if now - status.st_mtime > SEALED_AFTER_S:
            path.unlink()
            freed += status.st_size
    return freed


def watch(bench, world, daemon, child):
    """Until the recorder ends: the highest figures seen."""
    seen = {"resident": 0, "undurable": 0, "client": 0, "client_cpu": 0, "freed": 0}
    started, cleaned = memory_of(daemon.process.pid)[0], time.monotonic()
    while child.poll() is None:
        time.sleep(0.5)
        resident, undurable = memory_of(daemon.process.pid)[0], daemon.metric("steppe_undurable_bytes")
        seen["resident"] = max(seen["resident"], resident)
        seen["undurable"] = max(seen["undurable"], undurable)
        try:
            seen["client"], seen["client_cpu"] = memory_of(child.pid)[1], cpu_of(child.pid)
        except (OSError, AttributeError):
            pass  # it has just ended
        if time.monotonic() - cleaned > 5:
            seen["freed"] += delete_behind(world.work / "video")
            cleaned = time.monotonic()
    seen["started"] = started
    return seen


def run(bench):
    streams, seconds = (20, 3) if bench.args.smoke else (500, max(30, bench.args.seconds))
    world = bench.world("streams", "local")
    needed = min(KEPT_BYTES, int(streams * RATE / 8 * seconds))
    if shutil.disk_usage(world.work).free < needed + (4 << 30):
        raise Failure(f"{world.work} needs {needed >> 30} GiB free, and 4 more")
    daemon = world.daemon(record__any_camera="true")
    config, before = world.config("recorder"), machine()
    cpu, began = cpu_of(daemon.process.pid), time.monotonic()
    with (world.work / "ingest.json").open("w+") as out:
        child = subprocess.Popen([world.program, "bench", "ingest", "--json", "--streams", str(streams), "--rate", str(RATE), "--duration",
                                  f"{seconds}s", "--config", config], stdout=out, stdin=subprocess.DEVNULL)
        world.children.append(child)
        seen = watch(bench, world, daemon, child)
        if child.returncode:
            raise Failure(f"the recorder ended with {child.returncode}")
        out.seek(0)
        answer = json.loads(out.read())
    elapsed = time.monotonic() - began
    cpu = cpu_of(daemon.process.pid) - cpu
    daemon.stop()
    bench.forget(world)
    wanted = streams * RATE / 8 * seconds
    tables = streams * (FIXED + 2 * TABLES)
    formula = seen["started"] + tables + seen["undurable"] + KEPT_BUFFERS
    print(f"streams-500: {before}; {time.strftime('%Y-%m-%d')}\n  tests/bench/run streams-500 --seconds {seconds}")
    print(f"  {streams} streams of {RATE / 1e6:.0f} Mb/s for {seconds} s: {answer['bytes'] / wanted:.3f} of what they showed is durable, "
          f"{answer['dropped']} fragments dropped, the last {answer['seconds'] - seconds:.1f} s after the end")
    print("  acknowledged after p50 {:.0f} ms, p95 {:.0f} ms, p99 {:.0f} ms".format(*(answer[f"ack_p{p}_us"] / 1e3 for p in (50, 95, 99))))
    print(f"  storaged: {cpu / elapsed:.2f} of a core, {cpu / answer['bytes'] * 1e9:.2f} CPU s/GB; the recorder {seen['client_cpu'] / elapsed:.2f} "
          f"of a core, {seen['client'] / 1e6:.0f} MB")
    print(f"  storaged's memory: {seen['resident'] / 1e6:.0f} MB at most; by the formula {formula / 1e6:.0f}: {seen['started'] / 1e6:.0f} at its start, "
          f"{tables / 1e6:.0f} writers and tables, {seen['undurable'] / 1e6:.0f} not durable at most, {KEPT_BUFFERS / 1e6:.0f} of buffers kept")
    print(f"  {seen['freed'] / 1e9:.1f} GB were deleted behind")
