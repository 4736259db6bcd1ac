# SPDX-License-Identifier: Apache-2.0
"""Several storaged on one Ceph. One is killed, one hangs, one is stopped in order, one joins: recording goes on, and the ledger of
what was acknowledged is the judge."""
import collections
import json
import re
import signal
import time

from world import LONG, Daemon, Ledger, command, expect, now_us, only_on, wait_for

CAMERAS = 60 if LONG else 12
FOR_EVER = 3600


class Cluster:
    def __init__(self, w, nodes=3):
        self.w = w
        for number in range(1, nodes + 1):
            self.start(f"node{number}")
        self.ledger = Ledger(w)
        self.ledger.record(CAMERAS, FOR_EVER)
        self.ledger.grows(2 * CAMERAS)
        wait_for(lambda: len(self.ledger.streams()) == CAMERAS, "every camera is recorded")

    def start(self, name):
        if name != "node1":
            command(self.w.program, "pki", "issue", self.w.pki, name, "--role", "node")
        return self.w.daemon(name, record__any_camera="true", chunk__min_length="5s", chunk__min_bytes=0)

    def counts(self):
        return collections.Counter(re.findall(r"^durable (\S+) ", self.ledger.path.read_text(), re.M))

    def all_go_on(self, what):
        """Every camera's footage is acknowledged anew; tells how long that took."""
        before, began = self.counts(), time.monotonic()
        wait_for(lambda: all(n > before[s] for s, n in self.counts().items()) or not self.ledger.child.runs(),
                 lambda: f"every stream goes on: {[s for s, n in self.counts().items() if n <= before[s]]}", 60)
        expect(self.ledger.child.runs(), f"the recorder ended: {self.ledger.child.text()[-1500:]}")
        self.w.tells(f"{what}: every stream goes on after {time.monotonic() - began:.1f} s")

    def alive(self, count):
        for daemon in self.w.daemons:
            if daemon.runs():
                wait_for(lambda d=daemon: d.metric("steppe_nodes_alive") == count, f"{daemon.name} sees {count} nodes alive")

    def owned(self):
        return {d.name: int(d.metric("steppe_streams_recording")) for d in self.w.daemons if d.runs()}

    def spread(self):
        """The map is what is: every node records its share of the cameras, and all are recorded."""
        wait_for(lambda: sum(self.owned().values()) == CAMERAS and all(self.owned().values()),
                 lambda: f"all nodes record: {self.owned()}", 60)

    def judge(self, gaps=False):
        expect(self.ledger.child.stop() == 0, f"the recorder says: {self.ledger.child.text()[-1500:]}")
        self.ledger.all_is_there()
        expect(len(self.ledger.streams()) == CAMERAS, f"{len(self.ledger.streams())} streams")
        if not gaps:
            for stream in self.ledger.streams():
                self.w.expect_no_gap(stream.split("/")[0], self.ledger.began_us, now_us())


@only_on("ceph")
def test_one_is_killed_and_comes_back(w):
    c = Cluster(w)
    c.alive(3)
    c.spread()
    victim = w.daemons[1]
    victim.kill()
    c.all_go_on("killed")
    c.alive(2)
    victim.start()
    c.alive(3)
    c.spread()
    c.all_go_on("back again")
    c.judge()


@only_on("ceph")
def test_one_hangs_and_comes_back(w):
    c = Cluster(w)
    victim = w.daemons[2]
    victim.signal(signal.SIGSTOP)
    c.all_go_on("hung")
    time.sleep(20)
    victim.signal(signal.SIGCONT)
    c.alive(3)
    c.spread()
    c.all_go_on("back again")
    expect(victim.runs(), victim.log.read_text()[-1500:])
    c.judge()


@only_on("ceph")
def test_daemons_are_stopped_and_join(w):
    """A rolling upgrade and a fourth node: planned, so without a gap."""
    c = Cluster(w)
    fourth = c.start("node4")
    c.alive(4)
    c.spread()
    expect(fourth.metric("steppe_streams_recording") > 0, "the fourth records nothing")
    for daemon in w.daemons[:3]:
        expect(daemon.stop() == 0, f"{daemon.name}: {daemon.log.read_text()[-1500:]}")
        expect(not daemon.lines("not every stream could be moved"), daemon.log.read_text()[-1500:])
        c.all_go_on(f"{daemon.name} stopped")
        c.alive(3)
        daemon.start()
        c.alive(4)
        c.spread()
    c.judge()


def nodes_of(w):
    status = json.loads(w.steppe("admin", "cluster", "status", "--json").stdout)
    return status, {node["id"]: node for node in status["nodes"]}


@only_on("ceph")
def test_an_admin_drains_weighs_and_removes(w):
    c = Cluster(w)
    second = w.daemons[1]
    w.steppe("admin", "cluster", "drain", "node2")
    wait_for(lambda: second.metric("steppe_streams_recording") == 0, "node2 gives its cameras away")
    c.all_go_on("drained")
    w.steppe("admin", "cluster", "join", "node2")
    c.spread()
    w.steppe("admin", "cluster", "weight", "node2", "3000")
    status, nodes = nodes_of(w)
    expect(nodes["node2"]["weight"] == 3000 and status["leader"] in nodes and abs(nodes["node2"]["clock_offset_us"]) < 5_000_000, status)
    expect(abs(nodes["node2"]["fair_share"] - 0.6) < 0.01, status)
    expect("NODE" in w.steppe("admin", "cluster", "status").stdout, "no table")
    c.all_go_on("weighed")
    w.steppe("admin", "cluster", "remove", "node2", code=3)  # it is alive
    w.steppe("recorder", "cluster", "drain", "node2", code=3)
    code = second.stop()
    expect(code == 0, f"{code}: {second.log.read_text()[-1500:]}")
    w.steppe("admin", "cluster", "remove", "node2")
    expect("node2" not in nodes_of(w)[1], "node2 is still there")
    second.start(wait=False)
    wait_for(lambda: not second.runs(), "a removed node ends")
    expect(second.said("steppe cluster join"), second.log.read_text()[-1500:])
    w.steppe("admin", "cluster", "join", "node2")
    second.start()
    c.alive(3)
    c.spread()
    c.judge()


@only_on("ceph")
def test_an_id_is_one_daemons(w):
    w.daemon("node1")
    other = Daemon(w, "node1")
    other.log = w.work / "second.log"
    other.start(wait=False)
    wait_for(lambda: not other.runs(), "the second one ends")
    expect(other.process.returncode == 1 and other.said("another daemon runs under the id node1"), other.log.read_text())
