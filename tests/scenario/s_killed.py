# SPDX-License-Identifier: Apache-2.0
"""Sixteen cameras are recorded; things die in the middle. A ledger of what was acknowledged is the judge: nothing of it lost,
nothing changed, nothing twice, nothing that was not made, and no hole in the timeline where none was."""
import random
import signal
import time

from world import LONG, SECOND, Ledger, alone, expect, now_us, only_on, wait_for

CAMERAS = 16
KILLS = 20 if LONG else 4
FOR_EVER = 3600


def sixteen_cameras(w, **settings):
    daemon = w.daemon(record__any_camera="true", chunk__min_length="5s", chunk__min_bytes=0, **settings)
    ledger = Ledger(w)
    ledger.record(CAMERAS, FOR_EVER)
    ledger.grows(CAMERAS)
    return daemon, ledger


def chance(w):
    seed = random.randrange(1 << 32)
    w.tells(f"seed {seed}")
    return random.Random(seed)


def all_is_well(w, ledger):
    """The recorder ends in order, so everything it was shown is there, once, and as it was made, without a hole."""
    expect(ledger.child.stop() == 0, f"the recorder says: {ledger.child.text()[-1500:]}")
    ledger.all_is_there()
    expect(len(ledger.streams()) == CAMERAS, f"{len(ledger.streams())} streams, not {CAMERAS}")
    for stream in ledger.streams():
        w.expect_no_gap(stream.split("/")[0], ledger.began_us, now_us())


def test_storaged_is_killed_again_and_again(w):
    daemon, ledger = sixteen_cameras(w)
    dice = chance(w)
    for _ in range(KILLS):
        ledger.grows(CAMERAS)
        time.sleep(dice.uniform(0, 2))
        daemon.kill()
        time.sleep(dice.uniform(0, 1))
        daemon.start()
    ledger.grows(CAMERAS)
    all_is_well(w, ledger)


def test_storaged_is_down_until_the_spool_is_needed(w):
    """An outage of eight seconds: what was captured meanwhile comes on the backfill lane while live goes on."""
    daemon, ledger = sixteen_cameras(w)
    daemon.kill()
    wait_for(lambda: spooled(ledger) > 100_000, "the recorder uses its spool")
    time.sleep(3)
    daemon.start()
    ledger.grows(3 * CAMERAS)
    all_is_well(w, ledger)


def test_storaged_hangs(w):
    """SIGSTOP for so long that recorders give it up and connect again."""
    daemon, ledger = sixteen_cameras(w)
    daemon.signal(signal.SIGSTOP)
    time.sleep(18)
    daemon.signal(signal.SIGCONT)
    ledger.grows(3 * CAMERAS)
    all_is_well(w, ledger)


def spooled(ledger):
    return sum(path.stat().st_blocks * 512 for path in ledger.spool.rglob("*") if path.is_file())


def test_the_recorder_is_killed_with_a_full_spool(w):
    """The daemon goes, the spool fills, the recorder goes; both come back: what was in the spool arrives."""
    daemon, ledger = sixteen_cameras(w)
    daemon.kill()
    killed_us = now_us()
    wait_for(lambda: spooled(ledger) > 100_000, "the recorder uses its spool")
    time.sleep(5)
    ledger.child.kill()
    daemon.start()
    time.sleep(1.5)  # less than half a second would be no hole
    ledger.record(CAMERAS, FOR_EVER)
    again_us = now_us()
    ledger.grows(10 * CAMERAS)
    expect(ledger.child.stop() == 0, f"the recorder says: {ledger.child.text()[-1500:]}")
    counts, _ = ledger.judge()
    arrived = 0
    for stream in ledger.streams():
        timeline = w.timeline(stream.split("/")[0], ledger.began_us, now_us())
        expect(len(timeline["spans"]) == 2, f"{stream}: not one hole, where the recorder was gone: {timeline}")
        before, after = timeline["spans"]
        arrived += before["end_us"] > killed_us + 2 * SECOND
        expect(before["end_us"] < again_us <= after["start_us"] + SECOND, timeline)
    expect(arrived == CAMERAS, f"the spool of {arrived} of {CAMERAS} cameras arrived")
    w.tells(f"{counts['acknowledged']} acknowledged, all there")


def test_the_recorder_is_killed_while_it_records(w):
    _, ledger = sixteen_cameras(w)
    for _ in range(20 if LONG else 2):
        ledger.grows(CAMERAS)
        ledger.child.kill()
        ledger.record(CAMERAS, FOR_EVER)
    ledger.grows(CAMERAS)
    expect(ledger.child.stop() == 0, f"the recorder says: {ledger.child.text()[-1500:]}")
    counts, _ = ledger.judge()
    w.tells(f"{counts['acknowledged']} acknowledged, all there")


@only_on("ceph")
@alone
def test_an_osd_is_killed(w):
    _, ledger = sixteen_cameras(w)
    for i in range(20 if LONG else 1):
        w.osd("osd-kill", (1 + i) % 3)
        ledger.grows(3 * CAMERAS)
        w.osd("osd-start", (1 + i) % 3)
        ledger.grows(3 * CAMERAS)
        w.ceph_heals()  # two away at a time are more than the pool stands
    all_is_well(w, ledger)
    w.ceph_heals()


@only_on("ceph")
@alone
def test_an_osd_hangs(w):
    _, ledger = sixteen_cameras(w)
    w.osd("osd-kill", 2, "STOP")
    time.sleep(10)
    w.osd("osd-kill", 2, "CONT")
    ledger.grows(3 * CAMERAS)
    all_is_well(w, ledger)
    w.ceph_heals()


@only_on("ceph")
@alone
def test_storaged_is_killed_while_an_osd_is_away(w):
    daemon, ledger = sixteen_cameras(w)
    w.osd("osd-kill", 0)
    daemon.kill()
    daemon.start()
    ledger.grows(2 * CAMERAS)
    w.osd("osd-start", 0)
    daemon.kill()
    daemon.start()
    ledger.grows(2 * CAMERAS)
    all_is_well(w, ledger)
    w.ceph_heals()
