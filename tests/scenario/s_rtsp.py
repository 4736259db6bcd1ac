# SPDX-License-Identifier: Apache-2.0
"""Cameras that speak RTSP, over TCP and UDP: their own clock, their absences, their passwords."""
import json
import os
import time

from world import DAY_US, H264, H265, SECOND, Camera, command, expect, now_us, pictures, source_pictures, wait_for


def recorded(w, camera):
    """What is kept of it so far: the timeline of the last day."""
    run = w.steppe("investigator", "timeline", camera, "--from", f"@{now_us() - DAY_US}", "--to", f"@{now_us() + SECOND}", "--json", code=None)
    return json.loads(run.stdout) if run.returncode == 0 and run.stdout else {"spans": [], "gaps": []}


def wait_for_footage(w, camera, seconds, spans=1):
    """Until `seconds` of it are kept in the span with this number; the timeline."""
    def enough():
        timeline = recorded(w, camera)
        if len(timeline["spans"]) >= spans:
            span = timeline["spans"][spans - 1]
            if span["end_us"] - span["start_us"] >= seconds * SECOND:
                return timeline
        return None
    return wait_for(enough, lambda: f"{seconds} s of {camera}: {recorded(w, camera)}", 60)


def inner_gaps(timeline):
    first, last = timeline["spans"][0], timeline["spans"][-1]
    return [g for g in timeline["gaps"] if g["start_us"] >= first["start_us"] and g["end_us"] <= last["end_us"]]


def check_capture_time(w, camera, source, mount, media):
    """Each exported picture is the source's, and was captured when the camera says that it sent it."""
    film = source_pictures(media)
    span = recorded(w, camera)["spans"][0]
    out = w.export(camera, span["start_us"], span["end_us"])
    manifest = json.loads(out.with_name(out.name + ".manifest.json").read_text())
    clocks = {clock["source"] for clock in manifest["clocks"]}
    got = pictures(out)
    by_picture = {}
    for index, us in source.sent(mount):
        by_picture.setdefault(film[index % len(film)][1], []).append(us)
    late = [min((at - us for us in by_picture[md5]), key=abs)
            for at, md5 in ((manifest["start_us"] + ms * 1000, md5) for ms, md5 in got) if md5 in by_picture]
    expect(len(late) == len(got), f"{len(got) - len(late)} of {len(got)} pictures are not the camera's")
    late.sort()
    w.tells(f"{camera}: {len(got)} pictures, clock {'+'.join(sorted(clocks))}, capture time {late[0] / 1000:.0f} to {late[-1] / 1000:.0f} ms "
            "after the camera's")
    return clocks, late


def test_over_tcp_and_udp(w):
    w.daemon()
    w.cameras("tcp", "udp", "hevc")
    source = Camera(w, f"street={H264}", f"yard={H265}")
    w.start("recorder", "record", "tcp", source.url("street"))
    w.start("recorder", "record", "udp", source.url("street"), "--transport", "udp")
    w.start("recorder", "record", "hevc", source.url("yard"))
    for camera in ("tcp", "udp", "hevc"):
        timeline = wait_for_footage(w, camera, 12)
        expect(len(timeline["spans"]) == 1 and not inner_gaps(timeline), f"{camera}: a false gap: {timeline}")
    for camera, mount, media in (("tcp", "street", H264), ("udp", "street", H264), ("hevc", "yard", H265)):
        clocks, late = check_capture_time(w, camera, source, mount, media)
        expect("rtcp" in clocks, f"{camera}: no time from RTCP: {clocks}")
        expect(all(abs(us) < 500_000 for us in late), f"{camera}: not captured when the camera says: {late[0]} .. {late[-1]} us")


def test_sound_comes_along(w):
    w.daemon()
    w.cameras("talk", "shop")
    source = Camera(w, f"talk={H264},alaw", f"shop={H264},aac")
    w.start("recorder", "record", "talk", source.url("talk"))
    w.start("recorder", "record", "shop", source.url("shop"))
    for camera, codec in (("talk", "pcm_alaw"), ("shop", "aac")):
        span = wait_for_footage(w, camera, 6)["spans"][0]
        out = w.export(camera, span["start_us"] + SECOND, span["end_us"] - SECOND)
        codecs = command("ffprobe", "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", out).stdout.split()
        expect(codecs == ["h264", codec], f"{camera}: {codecs}")
        expect(pictures(out), "no pictures")


def test_a_camera_goes_away_and_comes_back(w):
    """The hole has its cause, and nobody restarts anything."""
    w.daemon()
    w.cameras("gate")
    source = Camera(w, f"street={H264}")
    recorder = w.start("recorder", "record", "gate", source.url("street"))
    wait_for_footage(w, "gate", 5)
    source.kill()
    gone_us = now_us()
    time.sleep(4)
    source.comes_back()
    back_us = now_us()
    timeline = wait_for_footage(w, "gate", 4, spans=2)
    expect(recorder.runs(), "the recorder gave up")
    gaps = inner_gaps(timeline)
    expect(len(gaps) == 1 and gaps[0]["cause"] in ("camera off", "network"), f"not one hole with its cause: {timeline}")
    expect(gaps[0]["start_us"] <= gone_us + SECOND and gaps[0]["end_us"] >= back_us - SECOND, f"the hole is elsewhere: {timeline}")
    expect(recorder.stop() == 0, f"the recorder says: {recorder.text()[-1000:]}")
    timeline = recorded(w, "gate")
    expect(not [g for g in inner_gaps(timeline) if g not in gaps], f"another hole: {timeline}")


def test_a_password_is_seen_nowhere(w):
    w.daemon()
    w.cameras("vault")
    word = "s3cr3t-0f-the-vau1t"
    source = Camera(w, f"street={H264}", user="viewer", password=word)
    recorder = w.start("recorder", "record", "vault", source.url("street"), "--user", "viewer", "-v",
                       env={**os.environ, "STEPPE_SOURCE_PASSWORD": word})
    wait_for_footage(w, "vault", 3)
    with open(f"/proc/{recorder.pid}/cmdline", "rb") as file:
        expect(word.encode() not in file.read(), "the password is in ps")
    expect(recorder.stop() == 0, recorder.text()[-1000:])
    for path in w.work.rglob("*"):
        if path.is_file() and path.suffix not in (".mdb", ".mp4"):
            expect(word.encode() not in path.read_bytes(), f"the password is in {path}")
    run = w.steppe("recorder", "record", "vault", source.url("street").replace("//", f"//viewer:{word}@"), "--duration", "1s", code=2)
    expect(word not in run.stdout + run.stderr, f"the password is in the words: {run.stderr}")


def test_a_wrong_password_is_told(w):
    w.daemon()
    w.cameras("vault")
    source = Camera(w, f"street={H264}", user="viewer", password="right")
    recorder = w.start("recorder", "record", "vault", source.url("street"), "--user", "viewer",
                       env={**os.environ, "STEPPE_SOURCE_PASSWORD": "wrong"})
    wait_for(lambda: "401" in recorder.text() or "nauthorized" in recorder.text() or "password" in recorder.text(),
             lambda: f"it says why: {recorder.text()[-500:]}")


def test_many_cameras_in_one_process(w):
    """--cameras FILE.yaml: eight streams, each listed, each kept."""
    w.daemon()
    ids = [f"row-{i}" for i in range(8)]
    w.cameras(*ids)
    source = Camera(w, f"street={H264}", f"yard={H265}")
    listed = w.work / "cameras.yaml"
    listed.write_text("cameras:\n" + "".join(
        f'  - {{camera: {camera}, source: "{source.url("street" if i % 2 else "yard")}", transport: {"udp" if i % 3 == 0 else "tcp"}}}\n'
        for i, camera in enumerate(ids)))
    recorder = w.start("recorder", "record", "--cameras", listed)
    for camera in ids:
        timeline = wait_for_footage(w, camera, 6)
        expect(len(timeline["spans"]) == 1 and not inner_gaps(timeline), f"{camera}: a false gap: {timeline}")
    expect(recorder.stop() == 0, recorder.text()[-1000:])
    rows = json.loads(w.steppe("admin", "status", "--streams", "--json").stdout)
    expect(rows, "a status")
