# SPDX-License-Identifier: Apache-2.0
"""Footage goes when its policy says so, and no sooner: a daemon whose clock stands weeks ahead, objects looked at in the store."""
import glob
import json

from world import H264, SECOND, Skipped, expect, now_us, wait_for

FAKETIME = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")


def ahead(days):
    """Variables of a process whose wall clock stands so many days ahead; its monotonic clock is everybody's."""
    if not FAKETIME:
        raise Skipped("libfaketime is not installed")
    return {"LD_PRELOAD": FAKETIME[0], "FAKETIME": f"+{days}d", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def stored(w):
    return {name for camera in ("north", "south") for name in w.chunks(f"{camera}/main")}


def test_footage_goes_after_its_ceiling_and_not_before(w):
    daemon = w.daemon(retention__every="1s", chunk__min_length="5s", chunk__min_bytes=0)
    w.cameras("north", "south")
    w.steppe("admin", "policy", "set", "public", "--floor", "30d")
    w.steppe("admin", "policy", "set", "cases", "--floor", "365d", "--forever")
    w.steppe("admin", "policy", "assign", "public", "--all")
    w.steppe("admin", "camera", "add", "south", "--policy", "cases")
    start = now_us() - 600 * SECOND
    w.record("north", H264, start)
    w.record("south", H264, start)
    daemon.stop()
    before = stored(w)
    north = {name for name in before if "north" in name}
    expect(len(north) > 4 and len(before) == 2 * len(north), before)

    daemon.environment = ahead(29)
    daemon.start()
    wait_for(lambda: daemon.metric("steppe_expiry_rounds_total") >= 4, "two rounds of each loop")
    expect(stored(w) == before, "nothing goes below its floor")
    w.check_window("north", H264, start, 0, 80_000)
    daemon.stop()

    daemon.environment = ahead(31)
    daemon.start()
    # what the recorder could not send at once came as backfill: its names stay taken for a while, its footage is not shown
    removed, left = (lambda: int(daemon.metric("steppe_expired_chunks_total"))), (lambda: int(daemon.metric("steppe_expiry_left_chunks")))
    wait_for(lambda: removed() + left() == len(north), lambda: f"all of north is swept: {removed()} and {left()} of {len(north)}", 60)
    after = stored(w)
    expect(removed() > 0 and len(after & north) == left() and after - north == before - north, "north's chunks are gone and nothing else")
    timeline = w.timeline("north", start, start + 79 * SECOND)
    expect(timeline["spans"] == [], timeline)
    expect([g["cause"] for g in timeline["gaps"]] == ["expired"], timeline)
    w.check_window("south", H264, start, 0, 80_000)
    expect(daemon.lines("swept", "stream=north/main"), "the log says what went")
    daemon.stop()
    explained = explain(w, daemon)
    expect(explained["south"] == ("cases", "camera") and explained["north"] == ("public", "all"), explained)


def explain(w, daemon):
    daemon.environment = {}
    daemon.start()
    answer = {}
    for camera in ("north", "south"):
        told = json.loads(w.steppe("admin", "policy", "explain", camera, "--json").stdout)
        answer[camera] = (told["policy"], told["why"])
    return answer


def test_a_crash_in_the_middle_of_a_sweep(w):
    daemon = w.daemon(retention__every="1s", chunk__min_length="1s", chunk__min_bytes=0, retention__removes_per_second=10)
    w.cameras("north")
    w.steppe("admin", "policy", "set", "public", "--floor", "30d")
    w.steppe("admin", "policy", "assign", "public", "--all")
    w.record("north", H264, now_us() - 600 * SECOND)
    daemon.stop()
    before = len(stored(w))
    expect(before > 25, before)
    daemon.environment = ahead(31)
    daemon.start()
    wait_for(lambda: len(stored(w)) < before - 5, "the sweep is under way")
    daemon.kill()
    expect(stored(w), "some are left")
    daemon.start()
    wait_for(lambda: len(stored(w)) == daemon.metric("steppe_expiry_left_chunks"), "the next one finishes", 60)
    run = w.steppe("admin", "fsck", "north", "--json", code=None)
    expect(run.returncode == 0, run.stdout + run.stderr)


def test_policies_are_refused_with_words(w):
    w.daemon()
    w.cameras("north")
    w.steppe("admin", "policy", "set", "public", "--floor", "30d", "--ceiling", "90d")
    for arguments, words in ((("set", "short", "--floor", "30d", "--ceiling", "1d"), "ceiling"),
                             (("set", "none"), "floor"),
                             (("set", "tiny", "--floor", "1s"), "hour"),
                             (("assign", "nothing", "--all"), "no such policy"),
                             (("assign", "public"), "--all"),
                             (("assign", "public", "--division", "15x"), "digits"),
                             (("remove", "nothing"), "no such policy"),
                             (("unassign", "--group", "schools"), "no policy")):
        run = w.steppe("admin", "policy", *arguments, code=None)
        expect(run.returncode and words in run.stderr, f"{arguments}: {run.returncode} {run.stderr}")
    w.steppe("admin", "policy", "assign", "public", "--division", "1501")
    run = w.steppe("admin", "policy", "remove", "public", code=None)
    expect(run.returncode and "assigned" in run.stderr, run.stderr)
    table = w.steppe("admin", "policy", "list").stdout
    expect("public" in table and "30 d" in table and "90 d" in table and "division 1501" in table, table)
    run = w.steppe("investigator", "policy", "set", "public", "--floor", "30d", code=None)
    expect(run.returncode and "role" in run.stderr, run.stderr)
