# SPDX-License-Identifier: Apache-2.0
"""Watching while it is recorded: following, going back from now, sync pictures alone."""
import json
import time

from world import H264, SECOND, Ledger, expect, now_us, wait_for


def rows(text):
    """Of JSON lines, those that are whole."""
    return [json.loads(line) for line in text.split("\n")[:-1] if line.startswith("{")]


def number(row):
    return row["stream"], row["session"], row["seq"]


def recording(w, cameras):
    daemon = w.daemon(record__any_camera="true", chunk__min_length="5s", chunk__min_bytes=0)
    ledger = Ledger(w)
    ledger.record(cameras, 3600)
    ledger.grows(3 * cameras)
    return daemon, ledger


def durable(ledger, stream):
    """{(stream, session, seq): digest} of what was acknowledged."""
    lines = [line.split(" ") for line in ledger.path.read_text().splitlines() if line.startswith(f"durable {stream} ")]
    return {(f[1], f[2], int(f[3])): f[6] for f in lines if len(f) == 7}


def check_order(got, backward=False):
    expect(len({number(row) for row in got}) == len(got), "a fragment comes twice")
    times = [row["capture_us"] for row in got]
    expect(backward or times == sorted(times), f"not in order: {times}")
    expect(not any(row["damaged"] or row["gap_before"] for row in got), f"a hole, or damage: {got}")


def test_following_while_it_is_recorded(w):
    """From two chunks ago over the live edge and on: each once, in order, as it was acknowledged, while the recorder goes on."""
    daemon, ledger = recording(w, 3)
    wait_for(lambda: len(w.chunks("cam-001/main")) >= 3, "three chunks")
    follower = w.start("investigator", "follow", "cam-001", "--from", f"@{ledger.began_us}", "--json")
    edge = w.start("chen", "follow", "cam-000", "cam-001", "cam-002", "--json", role="investigator")
    film = w.work / "live.mp4"
    w.start("li", "follow", "cam-002", "-o", film, "--limit", "8", role="investigator")
    wait_for(lambda: rows(edge.text()), "the live edge")
    mark = len(rows(follower.text()))
    expect(mark > 3, "what was there before does not come at once")
    wait_for(lambda: len(rows(follower.text())) > mark + 12, lambda: f"12 more come: {follower.text()[-300:]}", 60)
    expect(ledger.child.runs() and follower.runs() and edge.runs(), "something ended")
    late = [row["behind_us"] for row in rows(edge.text())[3:]]
    w.tells(f"behind the camera's end of fragment: {min(late) / 1e6:.2f} to {max(late) / 1e6:.2f} s")
    # through a stop and a start of the daemon: it goes on where it was
    daemon.stops()
    daemon.start()
    mark = len(rows(follower.text()))
    wait_for(lambda: len(rows(follower.text())) > mark + 3, lambda: f"it goes on after a restart: {follower.text()[-300:]}", 60)
    for child in (follower, edge):
        child.stop()
    expect(ledger.child.stop() == 0, ledger.child.text()[-1000:])
    got = rows(follower.text())
    check_order(got)
    kept = durable(ledger, "cam-001/main")
    first, last = got[0]["capture_us"], got[-1]["capture_us"]
    expect(got[0]["seq"] == 1, f"it does not begin with the first: {got[0]}")
    expect(got[-1]["seq"] - got[0]["seq"] == len(got) - 1, "a fragment is missing between the first and the last")
    for row in got:
        expect(kept.get(number(row)) == row["digest"], f"not what was acknowledged: {row}")
    for stream in ("cam-000/main", "cam-001/main", "cam-002/main"):
        mine = [row for row in rows(edge.text()) if row["stream"] == stream]
        check_order(mine)
        expect(len(mine) >= 6 and mine[-1]["seq"] - mine[0]["seq"] == len(mine) - 1, f"{stream}: {len(mine)} fragments at the live edge")
    expect(last > first + 10 * SECOND, "it did not follow for long")
    wait_for(film.exists, "the live film ends after its fragments")
    ledger.all_is_there()


def test_backwards_and_sync_alone_while_it_is_recorded(w):
    """The window ends now: what is in the open chunk and not sealed comes too."""
    daemon, ledger = recording(w, 2)
    wait_for(lambda: len(w.chunks("cam-000/main")) >= 3, "three chunks")
    window = ("fetch", "cam-000", "--from", f"@{ledger.began_us}", "--json")
    asked = set(durable(ledger, "cam-000/main"))
    forward = rows(w.steppe("investigator", *window).stdout)
    check_order(forward)
    expect(asked <= {number(row) for row in forward}, "acknowledged before the question, and not in the answer")
    to = ("--to", f"@{forward[-1]['capture_us'] + forward[-1]['duration_us']}")
    backward = rows(w.steppe("investigator", *window, *to, "--backward").stdout)
    check_order(backward, backward=True)
    expect(sorted(map(number, backward)) == sorted(map(number, forward)), "not the same fragments backwards")
    # runs from sync to sync, the latest first, each of them in decoding order
    runs = []
    for row in backward:
        if row["sync"]:
            runs.append([])
        runs[-1].append(row["capture_us"])
    expect(len(runs) > 1 and all(run == sorted(run) for run in runs), f"a run is not in decoding order: {runs}")
    expect([run[0] for run in runs] == sorted((run[0] for run in runs), reverse=True), f"runs are not the latest first: {runs}")
    sync = rows(w.steppe("investigator", *window, *to, "--sync-only").stdout)
    check_order(sync)
    expect([number(row) for row in sync] == [number(row) for row in forward if row["sync"]], "not the sync pictures, all and alone")
    expect(all(row["prefix_only"] for row in sync) and sum(r["bytes"] for r in sync) < sum(r["bytes"] for r in forward if r["sync"]),
           "more than sync pictures")
    few = rows(w.steppe("investigator", *window, *to, "--sync-every", "4s", "--backward").stdout)
    check_order(few, backward=True)
    times = [row["capture_us"] for row in few]
    expect(times == sorted(times, reverse=True) and 0 < len(few) <= len(sync) and all(a - b >= 4 * SECOND for a, b in zip(times, times[1:])), times)
    limited = rows(w.steppe("investigator", *window, "--backward", "--limit", "2").stdout)
    expect(len(limited) == 2, f"{len(limited)} of two")
    expect(ledger.child.runs() and now_us(), "the recorder ended meanwhile")
    expect(ledger.child.stop() == 0, ledger.child.text()[-1000:])
    ledger.all_is_there()


def test_a_snapshot_of_now(w):
    _, ledger = recording(w, 1)
    time.sleep(1)
    w.steppe("investigator", "snapshot", "cam-000", "--at", "now", "-o", w.work / "now.jpg")
    expect((w.work / "now.jpg").read_bytes()[:2] == b"\xff\xd8", "no JPEG")
    expect(ledger.child.stop() == 0, ledger.child.text()[-1000:])
