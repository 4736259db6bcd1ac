# SPDX-License-Identifier: Apache-2.0
"""What is asked of the store, counted by the daemon itself: cost follows the answer."""
import time

from world import H264, SECOND, expect, yesterday_at

KINDS = ("writes", "removes", "reads", "lists")


def asked(daemon):
    """{(pool, kind): operations} since the daemon started. It carries its loops' counts to the page once a second."""
    time.sleep(2.2)
    return {(pool, kind): daemon.metric(f'steppe_store_{kind}_total{{pool="{pool}"}}') for pool in ("meta", "data") for kind in KINDS}


def cost(daemon, act):
    """What `act` asks of the store: {(pool, kind): operations}, those that are none left out."""
    before = asked(daemon)
    act()
    return {key: int(count - before[key]) for key, count in asked(daemon).items() if count > before[key]}


def cost_between_beats(daemon, act, wanted, tries=8):
    """The same; on a shared store a heartbeat can fall into the time that is measured, which then is measured again."""
    for _ in range(tries):
        found = cost(daemon, act)
        if found == wanted:
            break
    return found


def expect_no_list(daemon):
    counts = asked(daemon)
    expect(counts["meta", "writes"] and counts["data", "reads"], f"nothing was counted: {counts}")
    expect(not counts["meta", "lists"] and not counts["data", "lists"], f"something lists a whole pool: {counts}")


def test_nothing_in_the_data_path_lists(w):
    """Recording, every way of looking, a start after a kill with chunks open: no walk over a pool. A rebuild's are counted."""
    daemon = w.daemon(chunk__min_length="10s", chunk__min_bytes=0)
    w.cameras("north")
    start = yesterday_at(12 * 3600)
    w.record("north", H264, start)
    window = ("--from", f"@{start - SECOND}", "--to", f"@{start + 90 * SECOND}")

    def look():
        w.timeline("north", start, start + 80 * SECOND)
        w.steppe("investigator", "timeline", "north")  # the calendar
        for way in ((), ("--backward",), ("--sync-only",), ("--sync-every", "5s")):
            w.steppe("investigator", "fetch", "north", *window, *way)
        w.steppe("investigator", "follow", "north", "--from", f"@{start}", "--limit", 5)
        w.export("north", start + 5 * SECOND, start + 75 * SECOND)
        w.steppe("admin", "camera", "list")
        w.steppe("admin", "status")

    look()
    expect_no_list(daemon)
    child = w.start("recorder", "record", "north", H264, "--pace", "real", "--loop")
    before = daemon.metric("steppe_durable_bytes_total")
    while daemon.metric("steppe_durable_bytes_total") == before:
        time.sleep(0.05)
    daemon.kill()
    daemon.start()
    daemon.waits_until_said("recording stream=north/main")
    look()
    expect_no_list(daemon)
    child.kill()
    w.steppe("admin", "fsck", "north", "--rebuild-index")
    counts = asked(daemon)
    expect(counts["meta", "lists"] and counts["data", "lists"], f"a walk is not counted: {counts}")


def test_a_timeline_and_a_window_cost_what_they_return(w):
    daemon = w.daemon(chunk__min_length="10s", chunk__min_bytes=0, cluster__beat="10s", cluster__dead="60s")
    w.cameras("north")
    start = yesterday_at(12 * 3600)
    w.record("north", H264, start)
    expect(daemon.stop() == 0, "an orderly stop ends with 0")
    daemon.start()  # with empty caches, the owner of nothing
    wanted = {("meta", "reads"): 2}
    timeline = cost_between_beats(daemon, lambda: w.timeline("north", start, start + 3600 * SECOND), wanted)
    expect(timeline == wanted, f"a timeline is its head and one read of its partition: {timeline}")
    window = lambda: w.steppe("investigator", "fetch", "north", "--from", f"@{start + 12 * SECOND}", "--to", f"@{start + 14 * SECOND}")  # noqa: E731
    wanted = {("meta", "reads"): 2, ("data", "reads"): 1}
    first, again = cost(daemon, window), cost_between_beats(daemon, window, wanted)
    beats = 1 if w.kind == "ceph" else 0  # one may fall into the first look, which comes but once
    expect(first[("data", "reads")] <= 3 and first[("meta", "reads")] <= 2 + 2 * beats and len(first) <= 2 + beats,
           f"a window in one chunk is a head, a partition, a table in two reads and a range: {first}")
    expect(again == wanted, f"the second time no table, which is cached: {again}")
    w.tells(f"reads: a timeline {sum(timeline.values())}, a window {sum(first.values())}, the same again {sum(again.values())}")
