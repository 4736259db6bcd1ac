# SPDX-License-Identifier: Apache-2.0
"""Real footage in, an exact window out."""
import json
import time

from world import H264, H265, expect, pictures, rfc3339

DAY_US = 86_400_000_000


def yesterday_at(seconds):
    return (int(time.time()) // 86400 - 1) * DAY_US + seconds * 1_000_000


def record_file(w, camera, media, start_us):
    w.steppe("recorder", "record", camera, media, "--start", rfc3339(start_us), "--pace", "fast")


def check_window(w, camera, media, start_us, from_ms, to_ms):
    """The frames with FROM <= presentation time < TO, no more and no less, bit-identical, timestamps from 0."""
    source = [(ms, md5) for ms, md5 in pictures(media) if from_ms <= ms < to_ms]
    out = w.export(camera, start_us + from_ms * 1000, start_us + to_ms * 1000, f"{camera}-{from_ms}.mp4")
    got = pictures(out)
    expect([md5 for _, md5 in got] == [md5 for _, md5 in source],
           f"{camera} {from_ms}-{to_ms}: {len(got)} pictures, {len(source)} in the source")
    expect(not got or got[0][0] == 0, f"the first picture is at {got[0][0]} ms, not 0")
    expect(all(abs((a[0] - got[0][0]) - (b[0] - source[0][0])) <= 1 for a, b in zip(got, source)), "times differ from the source's")
    w.plain(w.command, "verify", out)


def test_windows_of_h264_and_h265(w):
    w.daemon(chunk__min_length="10s", chunk__min_bytes=0)
    w.cameras("north", "south")
    start = yesterday_at(12 * 3600)
    record_file(w, "north", H264, start)
    record_file(w, "south", H265, start)
    timeline = w.timeline("north", start - 10_000_000, start + 100_000_000)
    expect(timeline["camera"] == "north" and timeline["stream"] == "main", timeline)
    expect(len(timeline["spans"]) == 1, f"one span expected: {timeline}")
    span = timeline["spans"][0]
    expect(span["start_us"] == start and abs(span["end_us"] - start - 79_500_000) < 200_000, f"not where it was recorded: {span}")
    for from_ms, to_ms in ((0, 80_000), (31_300, 52_700), (9_950, 10_050), (0, 100), (79_000, 90_000), (20_001, 20_002 + 99)):
        check_window(w, "north", H264, start, from_ms, to_ms)
    for from_ms, to_ms in ((0, 41_000), (3_333, 17_777)):
        check_window(w, "south", H265, start, from_ms, to_ms)


def test_a_window_over_midnight(w):
    w.daemon(chunk__min_length="10s", chunk__min_bytes=0)
    w.cameras("north")
    start = yesterday_at(0) - 40_000_000
    record_file(w, "north", H264, start)
    check_window(w, "north", H264, start, 25_000, 61_500)


def test_it_is_all_there_after_a_restart(w):
    daemon = w.daemon()
    w.cameras("north")
    start = yesterday_at(7 * 3600)
    record_file(w, "north", H264, start)
    expect(daemon.stop() == 0, "an orderly stop ends with 0")
    daemon.start()
    check_window(w, "north", H264, start, 0, 80_000)
    daemon.kill()
    daemon.start()
    check_window(w, "north", H264, start, 5_500, 66_600)


def test_nothing_there_says_so(w):
    w.daemon()
    w.cameras("north")
    start = yesterday_at(0)
    run = w.steppe("investigator", "export", "north", "--from", f"@{start}", "--to", f"@{start + 1000000}", "-o", w.work / "x.mp4", code=4)
    expect("north" in run.stderr, run.stderr)
    run = w.steppe("recorder", "record", "nobody", H264, "--start", rfc3339(start), "--pace", "fast", code=3)
    expect("unknown-camera" in run.stderr or "no such camera" in run.stderr, run.stderr)
    expect(json.loads(w.steppe("admin", "camera", "list", "--json").stdout), "the list of cameras")
