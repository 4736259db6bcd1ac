# SPDX-License-Identifier: Apache-2.0
"""What scenarios are made of: real daemons, real certificates, real footage, the command `steppe`, a local store or a real Ceph."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
import urllib.request

TOP = pathlib.Path(__file__).resolve().parents[2]
MEDIA = TOP / "tests" / "media"
H264 = MEDIA / "street-h264.mp4"
H265 = MEDIA / "street-h265.mp4"
SLOW = 6 if os.environ.get("ASAN_OPTIONS") else 1  # deadlines are for hangs, not for speed
LONG = os.environ.get("STEPPE_CHECK_LONG") == "1"


class Failure(Exception):
    """Something is not as the scenario says."""


def expect(condition, words):
    if not condition:
        raise Failure(words)


def wait_for(condition, words, seconds=30):
    """Waits for an event; the deadline only ends a hang."""
    deadline = time.monotonic() + seconds * SLOW
    while True:
        value = condition()
        if value:
            return value
        expect(time.monotonic() < deadline, f"still waiting after {seconds * SLOW} s for: {words}")
        time.sleep(0.05)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def rfc3339(us):
    seconds, rest = divmod(us, 1_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:06d}Z"


def pictures(path, arguments=()):
    """(time in ms, MD5) of every picture of a file's video as ffmpeg decodes it: the judge of exactness."""
    run = subprocess.run(["ffmpeg", "-v", "error", *arguments, "-i", str(path), "-map", "0:v:0", "-fps_mode", "passthrough",
                          "-enc_time_base", "1:1000", "-f", "framemd5", "-"], capture_output=True, text=True)
    expect(run.returncode == 0, f"ffmpeg cannot read {path}: {run.stderr}")
    expect(not run.stderr, f"ffmpeg complains about {path}: {run.stderr}")
    rows = [line.split(",") for line in run.stdout.splitlines() if not line.startswith("#")]
    return [(int(row[2]), row[5].strip()) for row in rows]


class Daemon:
    """A storaged. Settings are its own names with '__' for '.'."""

    def __init__(self, world, name="node1", **settings):
        self.world, self.name = world, name
        self.port, self.http = free_port(), free_port()
        self.log = world.work / f"{name}.log"
        self.settings = {"node": name, "store": world.store_url, "tls.dir": str(world.pki), "loops": "2",
                         "listen": f"127.0.0.1:{self.port}", "http": f"127.0.0.1:{self.http}"}
        self.settings.update({key.replace("__", "."): str(value) for key, value in settings.items()})
        self.process = None

    def start(self, wait=True):
        arguments = [str(self.world.build / "storaged" / "storaged")]
        for key, value in self.settings.items():
            arguments += ["--set", f"{key}={value}"]
        with self.log.open("ab") as log:
            mark = log.tell()
            self.process = subprocess.Popen(arguments, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        if wait:
            wait_for(lambda: self.said(" started ", mark) or self.process.poll() is not None, f"{self.name} starts", 60)
            expect(self.process.poll() is None, f"{self.name} ended at its start: {self.log.read_text()[-2000:]}")
        return self

    def said(self, words, since=0):
        with self.log.open("rb") as log:
            log.seek(since)
            return words in log.read().decode(errors="replace")

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, seconds=60):
        """In order; returns the exit code."""
        self.signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failure(f"{self.name} did not stop within {seconds * SLOW} s of SIGTERM") from None

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name):
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        raise Failure(f"no metric {name}")


class World:
    """One scenario's folder, certificates and store."""

    def __init__(self, name, build, store, work, ceph=None):
        self.name, self.build, self.kind, self.ceph = name, pathlib.Path(build), store, ceph
        self.work = pathlib.Path(work) / name
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        self.pki = self.work / "pki"
        self.daemons, self.children = [], []
        self.command = self.build / "tools" / "steppe" / "steppe"
        self.store_url = self.new_store()
        self.plain(self.command, "pki", "init", self.pki)
        self.plain(self.command, "pki", "issue", self.pki, "node1", "--role", "node")

    def new_store(self):
        if self.kind == "local":
            return f"file://{self.work}/video"
        # a namespace a scenario: they share the cluster, not its objects
        return (f"rados://?conf={self.ceph}/ceph.conf&meta=steppe.meta&data=steppe.data"
                f"&namespace={self.name}-{os.getpid()}")

    def plain(self, *arguments, code=0, **options):
        run = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                             timeout=600 * SLOW, **options)
        expect(code is None or run.returncode == code,
               f"{' '.join(map(str, arguments))} gave {run.returncode}, not {code}:\n{run.stdout[-1500:]}\n{run.stderr[-1500:]}")
        return run

    def daemon(self, name="node1", **settings):
        daemon = Daemon(self, name, **settings)
        self.daemons.append(daemon)
        return daemon.start()

    def config(self, who, role=None):
        """The configuration file of a person or program, with a certificate of its own."""
        path = self.work / f"{who}.yaml"
        if not path.exists():
            addresses = ",".join(f"127.0.0.1:{daemon.port}" for daemon in self.daemons)
            self.plain(self.command, "pki", "issue", self.pki, who, "--role", role or who, "--config-out", path, "--cluster",
                       addresses)
        return path

    def steppe(self, who, *arguments, code=0, role=None, **options):
        return self.plain(self.command, "--config", self.config(who, role), *arguments, code=code, **options)

    def start(self, who, *arguments, role=None, log=None):
        """A `steppe` that goes on by itself."""
        path = self.work / (log or f"{who}-{len(self.children)}.out")
        with path.open("wb") as out:
            child = subprocess.Popen([str(self.command), "--config", str(self.config(who, role)), *map(str, arguments)], stdout=out,
                                     stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        child.path = path
        self.children.append(child)
        return child

    def spawn(self, *arguments, log=None, **options):
        path = self.work / (log or f"child-{len(self.children)}.out")
        with path.open("wb") as out:
            child = subprocess.Popen([str(a) for a in arguments], stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                     **options)
        child.path = path
        self.children.append(child)
        return child

    def cameras(self, *ids):
        for camera in ids:
            self.steppe("admin", "camera", "add", camera)

    def timeline(self, camera, start_us, end_us):
        run = self.steppe("investigator", "timeline", camera, "--from", f"@{start_us}", "--to", f"@{end_us}", "--json")
        return json.loads(run.stdout)

    def export(self, camera, start_us, end_us, name="out.mp4", *more):
        path = self.work / name
        self.steppe("investigator", "export", camera, "--from", f"@{start_us}", "--to", f"@{end_us}", "-o", path, *more)
        return path

    def close(self):
        for child in self.children:
            if child.poll() is None:
                child.kill()
                child.wait()
        for daemon in self.daemons:
            if daemon.process and daemon.process.poll() is None:
                with contextlib.suppress(Failure):
                    daemon.stop()
