# SPDX-License-Identifier: Apache-2.0
"""Readers across a takeover: three storaged on one Ceph, of which the one that answers is killed in the middle."""
import hashlib
import json
import signal
import subprocess
import time

from world import H264, SECOND, Ledger, command, expect, now_us, only_on, wait_for, yesterday_at

CAMERA = "cam-000"  # the ledger's
FILM_S = 79
TIMES = 4  # one after the other


def three(w):
    for name in ("node1", "node2", "node3"):
        if name != "node1":
            command(w.program, "pki", "issue", w.pki, name, "--role", "node")
        w.daemon(name, record__any_camera="true", chunk__min_length="20s", chunk__min_bytes=0)
    for daemon in w.daemons:
        wait_for(lambda d=daemon: d.metric("steppe_nodes_alive") == 3, f"{daemon.name} sees three nodes alive")


def answering(w, purpose):
    """The daemon whose audit log has the purpose: each fetch and snapshot leaves a line."""
    def find():
        return next((d for d in w.daemons if d.runs() and d.said(purpose)), None)
    return wait_for(find, f"a daemon answers '{purpose}'")


@only_on("ceph")
def test_an_export_goes_on(w):
    """Half of it is read when its daemon is killed; the rest comes from another and every byte is the same."""
    three(w)
    start = yesterday_at(36000)
    for n in range(TIMES):
        w.record("gate", H264, start + n * FILM_S * SECOND)
    window = (start + 10 * SECOND, start + (TIMES * FILM_S - 7) * SECOND)
    whole = w.export("gate", *window)
    expected = hashlib.sha256(whole.read_bytes()).hexdigest()
    export = subprocess.Popen([w.program, "export", "gate", "--from", f"@{window[0]}", "--to", f"@{window[1]}", "-o", "-", "--quiet",
                               "--purpose", "in-the-middle", "--config", w.config("investigator")], stdout=subprocess.PIPE)
    try:
        got = hashlib.sha256()
        got.update(export.stdout.read(4 << 20))  # the rest waits for whoever reads
        victim = answering(w, "in-the-middle")
        victim.kill()
        began = time.monotonic()
        while piece := export.stdout.read(1 << 20):
            got.update(piece)
        expect(export.wait(60) == 0, f"the export gave {export.returncode}")
    finally:
        export.kill()
    w.tells(f"the rest came within {time.monotonic() - began:.1f} s of the death of its daemon")
    others = [d.name for d in w.daemons if d is not victim and d.said("in-the-middle")]
    expect(others, "no other daemon was asked: all had been read when the first one died")
    expect(got.hexdigest() == expected, "the bytes are not those of an export without a death")
    # and what is asked while the map still says that the dead one owns it
    began = time.monotonic()
    span = w.timeline("gate", *window)["spans"]
    expect(span and span[0]["start_us"] <= window[0], f"the timeline is {span}")
    again = w.export("gate", *window)
    expect(hashlib.sha256(again.read_bytes()).hexdigest() == expected, "an export afterwards has other bytes")
    w.steppe("admin", "status")
    w.tells(f"timeline, export and status with one of three dead: {time.monotonic() - began:.1f} s")


def listed(text):
    return [(f["session"], f["seq"], f["capture_us"]) for f in (json.loads(line) for line in text.splitlines() if line.startswith("{"))
            if "seq" in f]


def followed_across(w, strike, mend):
    """A camera is recorded in real time and followed; what the follower saw is what is there, once and in order."""
    three(w)
    ledger = Ledger(w)
    ledger.record(1, 3600)
    ledger.grows(3)
    begin_us = now_us()
    follower = w.start("investigator", "follow", CAMERA, "--from", f"@{begin_us}", "--json", "--purpose", "follower", log="follow.out")

    def sees(more, what):
        mark, began = len(listed(follower.text())), time.monotonic()
        wait_for(lambda: len(listed(follower.text())) >= mark + more or not follower.runs(), what, 60)
        expect(follower.runs(), f"the follow ended: {follower.text()[-1500:]}")
        return time.monotonic() - began
    sees(5, "five fragments are followed")
    victim = answering(w, "follower")
    strike(victim)
    w.tells(f"three fragments more {sees(3, 'the follow goes on'):.1f} s after it was struck")
    mend(victim)
    sees(8, "and on")
    expect(ledger.child.stop() == 0, f"the recorder says: {ledger.child.text()[-1500:]}")
    ledger.all_is_there()
    fetched = listed(w.steppe("investigator", "fetch", CAMERA, "--from", f"@{begin_us}", "--json").stdout)
    wait_for(lambda: listed(follower.text())[-1:] == fetched[-1:], "the last fragment is followed")
    follower.stop()
    followed = listed(follower.text())
    expect(followed == fetched, f"{len(followed)} followed, {len(fetched)} there; not both: {sorted(set(followed) ^ set(fetched))[:6]}")
    w.tells(f"{len(followed)} fragments followed, each once and in order")


@only_on("ceph")
def test_a_follow_goes_on(w):
    followed_across(w, lambda d: d.kill(), lambda d: d.start())


@only_on("ceph")
def test_a_follow_goes_on_when_its_daemon_hangs(w):
    followed_across(w, lambda d: d.signal(signal.SIGSTOP), lambda d: d.signal(signal.SIGCONT))
