# SPDX-License-Identifier: Apache-2.0
"""A disk that says EIO, by tests/scenario/bad_disk: named, counted, nothing acknowledged lost, and recording goes on by itself."""
import time

from world import H265, SECOND, Daemon, Ledger, expect, now_us, only_on, wait_for, yesterday_at


def on_bad_disk(w, part, **settings):
    """A daemon whose files with `part` in their path fail while the returned file is there."""
    flag = w.work / "disk-is-bad"
    daemon = Daemon(w, record__any_camera="true", chunk__min_length="5s", chunk__min_bytes=0, **settings)
    daemon.environment = {"LD_PRELOAD": str(w.build / "tests" / "scenario" / "bad_disk.so"), "BAD_DISK": str(flag),
                          "BAD_DISK_PART": part}
    w.daemons.append(daemon)
    return daemon.start(), flag


def recorded_through(w, part, restart):
    daemon, flag = on_bad_disk(w, part)
    ledger = Ledger(w)
    ledger.record(4, 3600)
    ledger.grows(8)
    mark = daemon.mark()
    flag.write_text("write")
    wait_for(lambda: daemon.refusals("store-error") > 0 and daemon.lines("refusal=store-error", since=mark), "it refuses, by name")
    wait_for(lambda: not grows_for(ledger, 2), "nothing is acknowledged any more")
    expect(daemon.runs(), f"it ended: {daemon.log.read_text()[-1500:]}")
    status, words = daemon.get("/health")
    w.tells(f"health while the disk is bad: {status} {words.strip()}")
    refused = {line.split("refusal=")[1].split(" ")[0] for line in daemon.lines("refusal=", since=mark)}
    expect(refused == {"store-error"}, f"refused for another reason: {refused}")
    flag.unlink()
    if restart:
        daemon.stop()
        daemon.start()
    ledger.grows(24)
    expect(ledger.child.stop() == 0, ledger.child.text()[-1000:])
    ledger.all_is_there()
    for stream in ledger.streams():
        w.expect_no_gap(stream.split("/")[0], ledger.began_us, now_us())
    daemon.stops()


def grows_for(ledger, seconds):
    """Whether anything is acknowledged within so many seconds."""
    mark = ledger.durable()
    time.sleep(seconds)
    return ledger.durable() > mark


@only_on("local")
def test_footage_cannot_be_written(w):
    recorded_through(w, "/data/", restart=False)


@only_on("local")
def test_the_index_cannot_be_written(w):
    """What may or may not have happened makes the store stop until it is opened again (docs/format/local-store.md)."""
    recorded_through(w, "kv.mdb", restart=True)


@only_on("local")
def test_footage_cannot_be_read(w):
    """While the disk does not give it: told, and damaged for viewers; afterwards it is all there."""
    daemon, flag = on_bad_disk(w, ".mp4")
    w.cameras("south")
    start = yesterday_at(12 * 3600)
    w.record("south", H265, start)
    daemon.stops()
    daemon.start()
    window = ("--from", f"@{start}", "--to", f"@{start + 41 * SECOND}")
    flag.write_text("read")
    run = w.steppe("investigator", "fetch", "south", *window, "--json", code=None)
    expect(run.returncode in (1, 3, 4, 5), f"as if nothing were: {run.returncode} {run.stdout[-300:]}")
    found = w.steppe("admin", "fsck", "south", code=5).stdout
    expect("object cannot be read" in found, found)
    flag.unlink()
    w.check_window("south", H265, start, 0, 40_000)
    w.steppe("admin", "fsck", "south", "--deep")
