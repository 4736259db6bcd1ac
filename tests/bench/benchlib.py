# SPDX-License-Identifier: Apache-2.0
"""What benchmarks are made of: rounds that take turns, processor time of every process, medians, and the machine they ran on."""
import json
import os
import pathlib
import re
import resource
import shutil
import statistics
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "scenario"))
from world import Daemon, World  # noqa: E402  pylint: disable=wrong-import-position,unused-import

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_of(pid):
    """Processor seconds of a running process so far, all its threads."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def children_cpu():
    """Processor seconds of the children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def memory_of(pid):
    """(resident now, its highest so far) in bytes."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return tuple(int(re.search(rf"{key}:\s+(\d+)", text).group(1)) * 1024 for key in ("VmRSS", "VmHWM"))


class Bench:
    """One benchmark's surroundings: what was asked for on the command line."""

    def __init__(self, name, args):
        self.name, self.args = name, args
        self.build = pathlib.Path(args.build).resolve()
        self.work = pathlib.Path(args.work).resolve() / name
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        self.ceph = Ceph(args.ceph) if args.ceph else None
        self.worlds = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """No daemon outlives a benchmark, however it ended."""
        for world in self.worlds:
            world.end()

    def program(self, name):
        return str(self.build / "tests" / "bench" / name)

    def world(self, name, store):
        self.worlds.append(World(name, self.build, store, self.work, self.args.ceph))
        return self.worlds[-1]

    def forget(self, world):
        """Removes what a round has left, so that the next finds the disks as they were."""
        if world.kind == "ceph":
            self.ceph.remove(world.namespace)
        shutil.rmtree(world.work)


class Ceph:
    """A cluster of tests/lib/ceph."""

    def __init__(self, directory):
        self.dir = pathlib.Path(directory).resolve()
        self.conf = str(self.dir / "ceph.conf")

    def osd_cpu(self):
        return sum(cpu_of((self.dir / "run" / f"{path.name[:-5]}.pid").read_text().strip())
                   for path in self.dir.glob("osd.*.uuid"))

    def rados(self, *arguments, **options):
        return subprocess.run(["rados", "-c", self.conf, *map(str, arguments)], check=True, capture_output=True, text=True,
                              **options).stdout

    def bench(self, pool, seconds, *what):
        """`rados bench`: MB/s and MB. It counts MiB and calls them MB."""
        out = self.rados("-p", pool, "bench", seconds, *what)
        count = int(re.search(r"Total (?:writes|reads) made:\s+(\d+)", out).group(1))
        rate = float(re.search(r"Bandwidth \(MB/sec\):\s+([\d.]+)", out).group(1))
        return rate * 1.048576, count * 4 * 1.048576

    def remove(self, namespace):
        """Removes all objects of a namespace."""
        for pool in ("steppe.meta", "steppe.data"):
            names = self.rados("-p", pool, "-N", namespace, "ls").splitlines()
            for at in range(0, len(names), 500):
                self.rados("-p", pool, "-N", namespace, "rm", *names[at:at + 500])


class Meter:
    """Processor time of everybody between two moments."""

    def __init__(self, daemon=None, ceph=None):
        self.daemon, self.ceph = daemon, ceph
        self.before = self.read()

    def read(self):
        now = {"client": children_cpu()}
        if self.daemon:
            now["storaged"] = cpu_of(self.daemon.process.pid)
        if self.ceph:
            now["osds"] = self.ceph.osd_cpu()
        return now

    def per_gb(self, megabytes):
        now = self.read()
        costs = {f"{key}_cpu_s_per_gb": (now[key] - self.before[key]) / megabytes * 1000 for key in now}
        return {"cpu_s_per_gb": sum(costs.values()), **costs}


def run_text(*arguments, config=None, text=""):
    """What a program printed. `config`: for `steppe`. `text`: what it reads."""
    env = {**os.environ, "STEPPE_CONFIG": str(config)} if config else None
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, input=text, env=env)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, arguments))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def run_json(*arguments, **options):
    return json.loads(run_text(*arguments, **options))


def interleave(rounds, contenders):
    """Every contender once a round, each round in another order: what one leaves behind is not always the same other's burden.
    contenders: name -> function(round) -> {figure: number}. Returns name -> figure -> list."""
    names = list(contenders)
    results = {name: [] for name in names}
    for i in range(rounds):
        for name in names[i % len(names):] + names[:i % len(names)]:
            results[name].append(contenders[name](i))
            print(f"  round {i + 1} {name}: " + " ".join(f"{k}={v:.4g}" for k, v in results[name][-1].items()), file=sys.stderr,
                  flush=True)
    return results


def median_of(results):
    return {name: {key: statistics.median(r[key] for r in rows) for key in rows[0]} for name, rows in results.items()}


def ratio(results, figure, name, other):
    """Median of the rounds' own ratios, and their range: rounds see the machine alike, the whole run does not."""
    ratios = sorted(a[figure] / b[figure] for a, b in zip(results[name], results[other]))
    return statistics.median(ratios), ratios[0], ratios[-1]


def spread(values):
    """A distribution in words."""
    values = sorted(values)
    at = lambda percent: values[round(percent / 100 * (len(values) - 1))]  # noqa: E731
    return f"p50 {at(50):.3g}, p95 {at(95):.3g}, p99 {at(99):.3g}, max {values[-1]:.3g}"


def machine():
    cpu = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text()).group(1)
    return f"{os.cpu_count()} x {cpu}, load before {os.getloadavg()[0]:.1f}"


def show(bench, results, ratios):
    """The report: ratios first, then every contender's medians."""
    print(f"{bench.name}: {machine()}; {time.strftime('%Y-%m-%d')}")
    print("  " + " ".join(["tests/bench/run", *sys.argv[1:]]))
    for words, (value, low, high) in ratios.items():
        print(f"  {words}: {value:.2f} (rounds {low:.2f} to {high:.2f})")
    for name, figures in median_of(results).items():
        print(f"  {name}: " + ", ".join(f"{key} {value:.4g}" for key, value in figures.items()))


STREAMS = 64


def ingest(bench, turn, store, fragment=1_000_000):
    """One turn of recording as fast as it goes, everything durable: MB/s, and what each process paid."""
    world = bench.world(f"ingest-{turn}", store)
    daemon = world.daemon(record__any_camera="true")
    meter = Meter(daemon, bench.ceph if store == "ceph" else None)
    answer = run_json(world.program, "bench", "ingest", "--json", "--streams", 4 if bench.args.smoke else STREAMS, "--rate", 0,
                      "--fragment", fragment, "--duration", f"{bench.args.seconds}s", config=world.config("recorder"))
    figures = {"mb_per_s": answer["mb_per_second"], **meter.per_gb(answer["bytes"] / 1e6),
               "ack_p50_ms": answer["ack_p50_us"] / 1e3, "ack_p95_ms": answer["ack_p95_us"] / 1e3}
    daemon.stop()
    bench.forget(world)
    return figures
