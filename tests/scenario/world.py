# SPDX-License-Identifier: Apache-2.0
"""What scenarios are made of: real daemons, real certificates, real footage, the command `steppe`, a local store or a real Ceph."""
import functools
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

TOP = pathlib.Path(__file__).resolve().parents[2]
MEDIA = TOP / "tests" / "media"
SMALL = MEDIA / "small"
H264 = MEDIA / "street-h264.mp4"
H265 = MEDIA / "street-h265.mp4"
SLOW = 6 if os.environ.get("ASAN_OPTIONS") else 2  # deadlines are for hangs, not for speed
LONG = os.environ.get("STEPPE_CHECK_LONG") == "1"
DAY_US = 86_400_000_000
SECOND = 1_000_000


class Failure(Exception):
    """Something is not as the scenario says."""


class Skipped(Exception):
    """The scenario needs what is not here (and says what)."""


def expect(condition, words):
    if not condition:
        raise Failure(str(words))


def wait_for(condition, words, seconds=30):
    """Waits for an event; the deadline only ends a hang."""
    deadline = time.monotonic() + seconds * SLOW
    while True:
        value = condition()
        if value:
            return value
        expect(time.monotonic() < deadline, f"still waiting after {seconds * SLOW} s for: {words() if callable(words) else words}")
        time.sleep(0.05)


def only_on(store):
    def mark(function):
        function.store = store
        return function
    return mark


def alone(function):
    function.alone = True
    return function


class Ports:
    """Ports below those that outgoing connections take, each given once."""
    lock, next = threading.Lock(), random.randrange(10000, 19000)

    @classmethod
    def free(cls):
        while True:
            with cls.lock:
                cls.next = cls.next + 1 if cls.next < 19999 else 10000
                port = cls.next
            with socket.socket() as s:
                try:
                    s.bind(("127.0.0.1", port))
                    return port
                except OSError:
                    continue


def now_us():
    return time.time_ns() // 1000


def yesterday_at(seconds):
    return (int(time.time()) // 86400 - 1) * DAY_US + int(seconds * SECOND)


def rfc3339(us):
    seconds, rest = divmod(us, SECOND)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:06d}Z"


def command(*arguments, code=0, timeout=300, **options):
    try:
        run = subprocess.run([str(a) for a in arguments], capture_output=True, stdin=subprocess.DEVNULL, timeout=timeout * SLOW,
                             check=False, **options)
    except subprocess.TimeoutExpired as late:
        raise Failure(f"{' '.join(map(str, arguments))} did not end within {timeout * SLOW} s: {late.stdout}{late.stderr}") from None
    for name in ("stdout", "stderr"):
        setattr(run, name, getattr(run, name).decode(errors="replace"))
    expect(code is None or run.returncode == code,
           f"{' '.join(map(str, arguments))} gave {run.returncode}, not {code}:\n{run.stdout[-1500:]}\n{run.stderr[-1500:]}")
    return run


@functools.lru_cache(maxsize=16)
def source_pictures(path):
    return pictures(path)


def pictures(path, arguments=(), kind="v"):
    """(time in ms, MD5) of every picture of a file's video as ffmpeg decodes it: the judge of exactness."""
    run = command("ffmpeg", "-v", "error", *arguments, "-i", path, "-map", f"0:{kind}:0",
                  *(("-fps_mode", "passthrough", "-enc_time_base", "1:1000") if kind == "v" else ()), "-f", "framemd5", "-")
    expect(not run.stderr, f"ffmpeg complains about {path}: {run.stderr}")
    rows = [line.split(",") for line in run.stdout.splitlines() if not line.startswith("#")]
    return [(int(row[2]), row[5].strip()) for row in rows]


def packets(path, kind="v"):
    """The hashes of a track's packets as they are stored: for tracks that need no decoding to be compared."""
    run = command("ffmpeg", "-v", "error", "-i", path, "-map", f"0:{kind}:0", "-c", "copy", "-f", "framemd5", "-")
    return [line.split(",")[5].strip() for line in run.stdout.splitlines() if not line.startswith("#")]


class Daemon:
    """A storaged. Settings are its own names with '__' for '.'."""

    def __init__(self, world, name="node1", **settings):
        self.world, self.name = world, name
        self.port, self.http = Ports.free(), Ports.free()
        self.log = world.work / f"{name}.log"
        self.settings = {"node": name, "store": world.store_url, "tls.dir": str(world.pki), "loops": "2",
                         "listen": f"127.0.0.1:{self.port}", "http": f"127.0.0.1:{self.http}"}
        self.settings.update({key.replace("__", "."): str(value) for key, value in settings.items()})
        self.process, self.environment = None, {}
        self.config = None  # a configuration file; the settings go before it

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self, wait=True):
        arguments = [str(self.world.build / "storaged" / "storaged")]
        arguments += ["--config", str(self.config)] if self.config else []
        for key, value in self.settings.items():
            arguments += ["--set", f"{key}={value}"]
        with self.log.open("ab") as log:
            mark = log.tell()
            self.process = subprocess.Popen(arguments, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                            env={**os.environ, **self.environment})
        if wait:
            wait_for(lambda: self.said(" started ", mark) or self.process.poll() is not None, f"{self.name} starts", 60)
            expect(self.process.poll() is None, f"{self.name} ended at its start: {self.log.read_text()[-2000:]}")
        return self

    def lines(self, *words, since=0):
        """The lines of its log that hold all these words."""
        with self.log.open("rb") as log:
            log.seek(since)
            text = log.read().decode(errors="replace")
        return [line for line in text.splitlines() if all(word in line for word in words)]

    def mark(self):
        return self.log.stat().st_size

    def said(self, words, since=0):
        return bool(self.lines(words, since=since))

    def waits_until_said(self, words, since=0, seconds=30):
        wait_for(lambda: self.said(words, since), f"{self.name} says '{words}'", seconds)

    def signal(self, number):
        self.process.send_signal(number)

    def runs(self):
        return self.process and self.process.poll() is None

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

    def stops(self):
        """In order, and says so."""
        code = self.stop()
        expect(code == 0, f"{self.name} ended with {code}, not in order: {self.log.read_text(errors='replace')[-1500:]}")

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=20 * SLOW) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name):
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        raise Failure(f"no metric {name}")

    def refusals(self, word):
        return self.metric(f'steppe_refusals_total{{reason="{word}"}}')


class Child:
    """A program that goes on by itself; what it prints is in a file."""

    def __init__(self, path, arguments, **options):
        self.path = path
        with path.open("ab") as out:
            self.process = subprocess.Popen([str(a) for a in arguments], stdout=out, stderr=subprocess.STDOUT,
                                            stdin=subprocess.DEVNULL, **options)
        self.pid = self.process.pid

    def text(self):
        return self.path.read_text(errors="replace")

    def runs(self):
        return self.process.poll() is None

    def kill(self):
        if self.runs():
            self.process.kill()
        return self.process.wait()

    def stop(self, seconds=150):
        """In order (SIGTERM); returns the exit code."""
        if self.runs():
            self.process.terminate()
        return self.ends(seconds)

    def ends(self, seconds=150):
        try:
            return self.process.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failure(f"{self.process.args[0]} did not end within {seconds * SLOW} s: {self.text()[-1500:]}") from None


class Camera(Child):
    """tests/lib/rtsp_server: a camera, or several."""

    def __init__(self, world, *mounts, port=0, user=None, password=None):
        self.world, self.mounts, self.user, self.password = world, mounts, user, password
        self.start(port)

    def start(self, port):
        arguments = [self.world.build / "tests" / "lib" / "rtsp_server", "--port", port, "--frames"]
        if self.user:
            arguments += ["--user", self.user, "--password", self.password]
        number = len(self.world.children)
        super().__init__(self.world.work / f"camera-{number}.out", arguments + list(self.mounts))
        self.world.children.append(self)
        wait_for(lambda: re.search(r"^port (\d+)", self.text(), re.M) or not self.runs(), "the RTSP server listens")
        expect(self.runs(), f"the RTSP server ended: {self.text()}")
        self.port = int(re.search(r"^port (\d+)", self.text(), re.M)[1])
        return self

    def url(self, mount):
        return f"rtsp://127.0.0.1:{self.port}/{mount}"

    def sent(self, mount):
        """[(index in the film, capture time in us)] of every picture sent so far."""
        return [(int(i), int(us)) for m, i, us in re.findall(r"^frame (\S+) (\d+) (\d+)\n", self.text(), re.M) if m == mount]

    def comes_back(self):
        """The same camera on the same port."""
        return Camera(self.world, *self.mounts, port=self.port, user=self.user, password=self.password)


class Ledger:
    """tests/scenario/ledger: many cameras in real time, every acknowledgement written down, and judged afterwards."""

    def __init__(self, world, name="ledger"):
        self.world, self.path, self.spool = world, world.work / f"{name}.txt", world.work / f"{name}-spool"
        self.program = world.build / "tests" / "scenario" / "ledger"
        self.spool.mkdir()
        self.began_us, self.child = now_us(), None
        for who in ("recorder", "investigator"):
            world.config(who)

    def record(self, cameras, seconds, media=H264, shift_us=0):
        self.child = self.world.spawn(self.program, "record", self.world.pki, self.world.addresses(), media, self.path, self.spool,
                                      cameras, seconds, *([shift_us] if shift_us else []), log="ledger.out")
        return self.child

    def durable(self):
        return self.path.read_text().count("\n") if self.path.exists() else 0

    def grows(self, lines=1):
        """Waits until the cluster has acknowledged so many fragments more."""
        mark = self.durable()
        wait_for(lambda: self.durable() >= mark + lines or not self.child.runs(), f"{lines} more acknowledgements (of {mark})", 60)
        expect(self.child.runs(), f"the recorder ended: {self.child.text()[-1500:]}")

    def ends(self, seconds=200):
        """In order, everything durable."""
        expect(self.child.ends(seconds) == 0, f"the recorder says: {self.child.text()[-1500:]}")

    def judge(self, from_us=None, to_us=None):
        """Nothing acknowledged is lost, changed, there twice or damaged. Returns the counts, and {stream: us} of what is there."""
        run = command(self.program, "check", self.world.pki, self.world.addresses(), self.path, from_us or self.began_us - SECOND,
                      to_us or now_us() + 10 * SECOND, code=None)
        counts = {word: int(n) for word, n in re.findall(r"(\w+) (\d+)", run.stdout.splitlines()[-1])} if run.stdout else {}
        expect(run.returncode == 0 and counts.get("acknowledged"), f"the ledger says: {run.stdout[-2000:]}{run.stderr[-1000:]}")
        return counts, {stream: int(us) for stream, us in re.findall(r"^there (\S+) (\d+)", run.stdout, re.M)}

    def all_is_there(self, from_us=None, to_us=None):
        """Of recorders that ended in order: every picture shown to them is there, no less and no more. The judge's counts."""
        rows = re.findall(r"^shown (\S+) (\d+) dropped (\d+)", self.path.read_text(), re.M)
        expect(rows and all(dropped == "0" for _, _, dropped in rows), f"dropped by the recorder: {rows}")
        counts, there = self.judge(from_us, to_us)
        for stream, shown, _ in rows:  # a fragment's length is rounded to a microsecond
            expect(abs(there.get(stream, 0) - int(shown)) <= counts["fetched"], f"{stream}: {shown} us were shown, {there.get(stream, 0)} us are there")
        self.world.tells(f"{counts['acknowledged']} fragments acknowledged, {counts['fetched']} there")
        return counts

    def streams(self):
        return sorted(set(re.findall(r"^durable (\S+) ", self.path.read_text(), re.M)))


class World:
    """One scenario's folder, certificates and store."""

    def __init__(self, name, build, store, work, ceph=None):
        self.name, self.build, self.kind, self.ceph = name, pathlib.Path(build), store, ceph
        self.work = pathlib.Path(work) / name
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        self.pki = self.work / "pki"
        self.daemons, self.children, self.words = [], [], ""
        self.program = self.build / "tools" / "steppe" / "steppe"
        self.namespace = f"{name}-{os.getpid()}"
        self.store_url = self.new_store()
        command(self.program, "pki", "init", self.pki)
        command(self.program, "pki", "issue", self.pki, "node1", "--role", "node")

    def new_store(self):
        if self.kind == "local":
            return f"file://{self.work}/video"
        # a namespace a scenario: they share the cluster, not its objects
        return f"rados://?conf={self.ceph}/ceph.conf&id=steppe&meta=steppe.meta&data=steppe.data&namespace={self.namespace}"

    def tells(self, words):
        """A line beside the result: what was measured, never judged."""
        self.words += ("\n" if self.words else "") + words

    def daemon(self, name="node1", **settings):
        daemon = Daemon(self, name, **settings)
        self.daemons.append(daemon)
        return daemon.start()

    def addresses(self):
        return ",".join(daemon.address for daemon in self.daemons)

    def config(self, who, role=None):
        """The configuration file of a person or program, with a certificate of its own."""
        path = self.work / f"{who}.yaml"
        if not path.exists():
            command(self.program, "pki", "issue", self.pki, who, "--role", role or who, "--config-out", path, "--cluster",
                    self.addresses())
            with path.open("a") as file:  # not in the home of whoever runs this
                file.write(f'spool:\n  dir: "{self.work}/spool-{who}"\n')
        return path

    def steppe(self, who, *arguments, code=0, role=None, **options):
        return command(self.program, *arguments, "--config", self.config(who, role), code=code, **options)

    def start(self, who, *arguments, role=None, log=None, **options):
        """A `steppe` that goes on by itself."""
        return self.spawn(self.program, *arguments, "--config", self.config(who, role), log=log, **options)

    def spawn(self, *arguments, log=None, **options):
        child = Child(self.work / (log or f"child-{len(self.children)}.out"), arguments, **options)
        self.children.append(child)
        return child

    def cameras(self, *ids):
        for camera in ids:
            self.steppe("admin", "camera", "add", camera)

    def record(self, camera, media, start_us, *more, **options):
        """A file, as fast as it is kept, as if taken at that time."""
        return self.steppe("recorder", "record", camera, media, "--start", rfc3339(start_us), "--pace", "fast", *more, **options)

    def timeline(self, camera, start_us, end_us, *more):
        run = self.steppe("investigator", "timeline", camera, "--from", f"@{start_us}", "--to", f"@{end_us}", "--json", *more)
        return json.loads(run.stdout)

    def expect_no_gap(self, camera, start_us, end_us):
        timeline = self.timeline(camera, start_us, end_us)
        expect(len(timeline["spans"]) == 1, f"{camera}: not one span: {timeline}")
        span = timeline["spans"][0]
        gaps = [g for g in timeline["gaps"] if g["start_us"] < span["end_us"] and g["end_us"] > span["start_us"]]
        expect(not gaps, f"{camera}: a false gap: {timeline}")
        return span

    def export(self, camera, start_us, end_us, name=None, *more, code=0):
        path = self.work / (name or f"{camera}-{len(list(self.work.iterdir()))}.mp4")
        self.steppe("investigator", "export", camera, "--from", f"@{start_us}", "--to", f"@{end_us}", "-o", path, "--force", *more,
                    code=code)
        return path

    def check_window(self, camera, media, start_us, from_ms, to_ms):
        """The frames with FROM <= presentation time < TO, no more and no less, bit-identical, timestamps from 0."""
        source = [(ms, md5) for ms, md5 in source_pictures(media) if from_ms <= ms < to_ms]
        out = self.export(camera, start_us + from_ms * 1000, start_us + to_ms * 1000)
        got = pictures(out)
        expect([md5 for _, md5 in got] == [md5 for _, md5 in source],
               f"{camera} {from_ms}-{to_ms}: {len(got)} pictures, {len(source)} in the source")
        expect(not got or got[0][0] == 0, f"the first picture is at {got[0][0]} ms, not 0")
        expect(all(abs(a[0] - got[0][0] - b[0] + source[0][0]) <= 1 for a, b in zip(got, source)), "times differ from the source's")
        self.verify(out)
        return out

    def verify(self, path, code=0):
        return command(self.program, "verify", path, code=code)

    # --- what lies in the store

    def chunks(self, stream):
        """The names of a stream's chunk objects, in order."""
        if self.kind == "local":
            folder = self.work / "video" / "data" / "chk" / stream
            return sorted(f"chk/{stream}/{path.name.removesuffix('.mp4').removesuffix('~')}" for path in folder.glob("*.mp4"))
        names = self.rados("ls").stdout.split()
        return sorted(name for name in names if name.startswith(f"chk/{stream}/"))

    def chunk_file(self, name):
        """Where the local store keeps an object's bytes."""
        base = self.work / "video" / "data" / name
        return next(path for path in (base.with_name(base.name + ".mp4"), base.with_name(base.name + "~.mp4")) if path.exists())

    def take_out(self, name, to):
        """A copy of an object as anyone could make it: cp, or rados get."""
        if self.kind == "local":
            shutil.copy(self.chunk_file(name), to)
        else:
            self.rados("get", name, to)
        return to

    def put_back(self, name, path):
        """Overwrites an object's bytes behind the daemon's back."""
        if self.kind == "local":
            with self.chunk_file(name).open("r+b") as file:
                file.write(path.read_bytes())
                file.truncate()
        else:
            self.rados("put", name, path)

    def rados(self, *arguments, pool="steppe.data"):
        return command("rados", "--conf", f"{self.ceph}/ceph.conf", "-p", pool, "-N", self.namespace, *arguments)

    def object(self, *arguments):
        """tests/scenario/object on the local store, which no daemon has open."""
        return command(self.build / "tests" / "scenario" / "object", self.store_url, *arguments)

    def meta(self, daemon, act, name, data=None):
        """An object of the small pool behind the daemon's back: `get` (its bytes), `put` (others under the same attributes), `remove`. The
        local store is lent for it, so the daemon starts anew; on Ceph too, so that both have forgotten."""
        path = self.work / "meta-object"
        if data is not None:
            path.write_bytes(data)
        daemon.stops()
        words = [act, name] if act == "remove" else [act, name, path]
        if self.kind == "ceph":
            self.rados(*(["rm", name] if act == "remove" else words), pool="steppe.meta")
        else:
            self.object(act, 0, *words[1:])
        daemon.start()
        return path.read_bytes() if act == "get" else None

    def osd(self, act, *arguments):
        command(TOP / "tests" / "lib" / "ceph", act, self.ceph, *arguments)

    def ceph_heals(self):
        health = lambda: command("ceph", "--conf", f"{self.ceph}/ceph.conf", "health").stdout.strip()  # noqa: E731
        wait_for(lambda: health() == "HEALTH_OK", "the cluster is healthy again", 120)

    # --- the end

    def close(self):
        """After a scenario that went well: daemons stop in order."""
        for child in self.children:
            child.kill()
        for daemon in self.daemons:
            if daemon.runs():
                expect(daemon.stop() == 0, f"{daemon.name} ended with {daemon.process.returncode}: {daemon.log.read_text()[-2000:]}")

    def end(self):
        for child in self.children:
            child.kill()
        for daemon in self.daemons:
            if daemon.runs():
                daemon.kill()
