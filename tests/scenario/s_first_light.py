# SPDX-License-Identifier: Apache-2.0
"""Real footage in, an exact window out."""
import json
import subprocess

from world import H264, H265, SECOND, SMALL, command, expect, packets, pictures, rfc3339, source_pictures, yesterday_at


def test_windows_of_h264_and_h265(w):
    w.daemon(chunk__min_length="10s", chunk__min_bytes=0)
    w.cameras("north", "south")
    start = yesterday_at(12 * 3600)
    w.record("north", H264, start)
    w.record("south", H265, start)
    timeline = w.timeline("north", start - 10 * SECOND, start + 100 * SECOND)
    expect(timeline["camera"] == "north" and timeline["stream"] == "main", timeline)
    expect(len(timeline["spans"]) == 1, f"one span expected: {timeline}")
    span = timeline["spans"][0]
    expect(span["start_us"] == start and abs(span["end_us"] - start - 79_500_000) < 200_000, f"not where it was recorded: {span}")
    for from_ms, to_ms in ((0, 80_000), (31_300, 52_700), (9_950, 10_050), (0, 100), (79_000, 90_000), (20_001, 20_101)):
        w.check_window("north", H264, start, from_ms, to_ms)
    for from_ms, to_ms in ((0, 41_000), (3_333, 17_777)):
        w.check_window("south", H265, start, from_ms, to_ms)


def test_a_window_over_midnight(w):
    w.daemon(chunk__min_length="10s", chunk__min_bytes=0)
    w.cameras("north")
    start = yesterday_at(0) - 40 * SECOND
    w.record("north", H264, start)
    w.check_window("north", H264, start, 25_000, 61_500)


def test_it_is_all_there_after_a_restart(w):
    daemon = w.daemon()
    w.cameras("north")
    start = yesterday_at(7 * 3600)
    w.record("north", H264, start)
    expect(daemon.stop() == 0, "an orderly stop ends with 0")
    daemon.start()
    w.check_window("north", H264, start, 0, 80_000)
    daemon.kill()
    daemon.start()
    w.check_window("north", H264, start, 5_500, 66_600)


def test_nothing_there_says_so(w):
    w.daemon()
    w.cameras("north")
    start = yesterday_at(0)
    run = w.steppe("investigator", "export", "north", "--from", f"@{start}", "--to", f"@{start + SECOND}", "-o", w.work / "x.mp4", code=4)
    expect("north" in run.stderr, run.stderr)
    run = w.record("nobody", H264, start, "--grace", "1s", code=None)
    expect(run.returncode in (3, 4) and "unknown-camera" in run.stderr, f"{run.returncode}: {run.stderr}")
    expect([c["id"] for c in json.loads(w.steppe("admin", "camera", "list", "--json").stdout)] == ["north"], "one is registered")


def test_the_register_of_cameras(w):
    w.daemon()
    ids = [f"cam-{i}" for i in range(30)]
    w.cameras(*ids)
    listed = [c["id"] for c in json.loads(w.steppe("admin", "camera", "list", "--json").stdout)]
    expect(sorted(listed) == sorted(ids), f"each camera once: {listed}")
    lines = w.steppe("admin", "camera", "list").stdout.splitlines()[1:]
    expect([line.split()[0] for line in lines] == sorted(ids), "people read them in order")
    w.steppe("admin", "camera", "remove", "cam-7")
    expect(len(json.loads(w.steppe("admin", "camera", "list", "--json").stdout)) == 29, "one is gone")


def film_with_sound(w, audio, name):
    """Twelve seconds with B-frames and sound, as a recorder for offices makes them."""
    path = w.work / name
    command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25", "-f", "lavfi", "-i", "sine=frequency=440",
            "-t", 12, "-c:v", "libx264", "-preset", "veryfast", "-g", 50, "-bf", 3, *audio, path)
    return path


def check_sound(w, camera, media, start, from_ms, to_ms):
    out = w.check_window(camera, media, start, from_ms, to_ms)
    got, source = packets(out, "a"), packets(media, "a")
    expect(got, "the sound is missing")
    at = source.index(got[0])
    expect(source[at:at + len(got)] == got, "the sound is not the source's, packet by packet")


def test_b_frames_with_sound(w):
    w.daemon(chunk__min_length="4s", chunk__min_bytes=0)
    w.cameras("office", "door")
    start = yesterday_at(9 * 3600)
    aac = film_with_sound(w, ("-c:a", "aac", "-ar", 16000, "-ac", 1), "aac.mp4")
    alaw = film_with_sound(w, ("-c:a", "pcm_alaw", "-ar", 8000, "-ac", 1), "alaw.mkv")
    w.record("office", aac, start)
    w.record("door", alaw, start)
    for from_ms, to_ms in ((0, 12_000), (3_010, 9_370)):
        check_sound(w, "office", aac, start, from_ms, to_ms)
        check_sound(w, "door", alaw, start, from_ms, to_ms)


def test_matroska_begins_at_the_sync_picture_and_says_so(w):
    w.daemon()
    w.cameras("north")
    start = yesterday_at(10 * 3600)
    w.record("north", H264, start)
    out = w.work / "north.mkv"
    run = w.steppe("investigator", "export", "north", "--from", f"@{start + 31_300_000}", "--to", f"@{start + 52_700_000}", "-o", out)
    expect("sync" in run.stdout + run.stderr, f"it does not say where the file begins: {run.stdout}{run.stderr}")
    source = [md5 for ms, md5 in source_pictures(H264) if 30_000 <= ms < 52_700]
    expect([md5 for _, md5 in pictures(out)] == source, "not the pictures from the sync picture at 30 s on")
    w.verify(out)


def test_an_export_into_a_pipe(w):
    w.daemon()
    w.cameras("north")
    start = yesterday_at(10 * 3600)
    w.record("north", H264, start)
    run = subprocess.run([w.program, "export", "north", "--from", f"@{start + 8_000_000}", "--to", f"@{start + 12_500_000}", "-o", "-",
                          "--config", w.config("investigator")], capture_output=True, check=False)
    expect(run.returncode == 0, run.stderr.decode())
    path = w.work / "piped.mp4"
    path.write_bytes(run.stdout)
    expect([md5 for _, md5 in pictures(path)] == [md5 for ms, md5 in source_pictures(H264) if 8_000 <= ms < 12_500], "other pictures")


def test_a_gap_is_kept_or_closed(w):
    """Two recordings with half a minute of nothing between them."""
    w.daemon()
    w.cameras("north")
    start = yesterday_at(11 * 3600)
    second = start + 70 * SECOND
    w.record("north", H265, start)  # 40 s
    w.record("north", H265, second)
    window = (start + 30 * SECOND, second + 10 * SECOND)
    timeline = w.timeline("north", *window)
    expect(len(timeline["spans"]) == 2 and len(timeline["gaps"]) == 1, timeline)
    gap = timeline["gaps"][0]
    expect(gap["cause"] == "recorder stopped" and abs(gap["start_us"] - start - 40 * SECOND) < 200_000 and gap["end_us"] == second, gap)
    source = source_pictures(H265)
    want = [md5 for ms, md5 in source if ms >= 30_000] + [md5 for ms, md5 in source if ms < 10_000]
    kept, closed = pictures(w.export("north", *window, "kept.mp4")), pictures(w.export("north", *window, "closed.mp4", "--gaps", "close"))
    expect([md5 for _, md5 in kept] == want and [md5 for _, md5 in closed] == want, "pictures before and after the gap")
    expect(abs(kept[-1][0] - 49_900) <= 100, f"the gap is not kept: the last picture is at {kept[-1][0]} ms")
    expect(abs(closed[-1][0] - 19_900) <= 200, f"the gap is not closed: the last picture is at {closed[-1][0]} ms")
    for name in ("kept.mp4", "closed.mp4"):
        manifest = json.loads((w.work / f"{name}.manifest.json").read_text())
        expect(len(manifest["gaps"]) == 1 and manifest["gaps"][0]["cause"] == "recorder stopped", manifest["gaps"])
        w.verify(w.work / name)


def test_a_camera_that_changes_its_resolution(w):
    """A codec change begins a second file."""
    w.daemon()
    w.cameras("day-night")
    start = yesterday_at(18 * 3600)
    w.record("day-night", SMALL / "resize-h264.ts", start)
    timeline = w.timeline("day-night", start - SECOND, start + 60 * SECOND)
    end = timeline["spans"][-1]["end_us"]
    w.steppe("investigator", "export", "day-night", "--from", f"@{start - SECOND}", "--to", f"@{end}", "-o", w.work / "change.mp4")
    files = sorted(w.work.glob("change.*.mp4"))
    expect([f.name for f in files] == ["change.1.mp4", "change.2.mp4"], f"not two files: {[f.name for f in files]}")
    sizes = [command("ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "stream=width,height", "-of", "csv=p=0", f).stdout.strip()
             for f in files]
    expect(sizes[0] != sizes[1], f"both files have {sizes[0]}")
    expect(all(pictures(f) for f in files), "a file without pictures")
    w.verify(files[0])


def test_one_changed_byte_is_found(w):
    w.daemon()
    w.cameras("north")
    start = yesterday_at(10 * 3600)
    w.record("north", H265, start)
    out = w.export("north", start + 5 * SECOND, start + 9 * SECOND, "evidence.mp4")
    w.verify(out)
    data = bytearray(out.read_bytes())
    data[len(data) * 2 // 3] ^= 0x01
    out.write_bytes(data)
    run = w.verify(out, code=5)
    expect("evidence.mp4" in run.stdout + run.stderr, run.stderr)


def test_times_as_people_write_them(w):
    """The same instant in RFC 3339, with an offset, in microseconds."""
    w.daemon()
    w.cameras("north")
    start = yesterday_at(10 * 3600)
    w.record("north", H265, start)
    offset = rfc3339(start + 8 * 3600 * SECOND).replace("Z", "+08:00")
    answers = [w.steppe("investigator", "timeline", "north", "--from", t, "--to", f"@{start + 60 * SECOND}", "--json").stdout
               for t in (rfc3339(start), offset, f"@{start}")]
    expect(answers[0] == answers[1] == answers[2], answers)
    text = w.steppe("investigator", "timeline", "north", "--from", f"@{start}", "--to", f"@{start + 60 * SECOND}", "--utc").stdout
    expect(rfc3339(start)[:10] in text, f"no day in the text: {text}")
    w.steppe("investigator", "timeline", "north", "--from", "the day before", "--to", "now", code=2)
