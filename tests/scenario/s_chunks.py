# SPDX-License-Identifier: Apache-2.0
"""Chunk objects are ordinary files: taken out of the store they play in ffprobe and Chromium."""
import html
import re
import subprocess
import time

from world import Failure, command, H264, H265, SECOND, expect, only_on, pictures, rfc3339, yesterday_at

CHROMIUM = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--allow-file-access-from-files"]

PAGE = """<video id=v src="%s" muted preload=auto></video><pre id=o>nothing came</pre><script>
const v = document.getElementById('v'), o = document.getElementById('o');
v.onloadedmetadata = () => { o.textContent = 'duration=' + v.duration + ' width=' + v.videoWidth; v.currentTime = v.duration / 2; };
v.onseeked = () => { o.textContent += ' at=' + v.currentTime + ' ready=' + v.readyState; };
v.onerror = () => { o.textContent = 'error ' + v.error.message; };
</script>"""


def take_out(w):
    """The store's chunk objects as files, a path each."""
    if w.kind == "local":
        return [p for p in (w.work / "video").rglob("*") if p.is_file() and p.open("rb").read(8)[4:] == b"ftyp"]
    namespace = re.search("namespace=([^&]+)", w.store_url).group(1)
    rados = ["rados", "-c", f"{w.ceph}/ceph.conf", "-p", "steppe.data", "-N", namespace]
    names = [n for n in command(*rados, "ls").stdout.split() if n.startswith("chk/")]
    paths = []
    for i, name in enumerate(names):
        paths.append(w.work / f"chunk-{i}.mp4")
        command(*rados, "get", name, paths[-1])
    return paths


def probe(w, path):
    text = command("ffprobe", "-v", "error", "-show_entries", "format=start_time,duration", "-of", "csv=p=0", path).stdout
    start, duration = text.strip().split(",")[:2]
    return float(start), float(duration)


def in_chromium(w, path, tries=5):
    """(duration, where a seek to the middle arrived, readyState)"""
    page = w.work / "page.html"
    page.write_text(PAGE % path)
    words = "nothing"
    # its virtual time can run out before a decoder on a busy machine has answered: then it is asked again
    for attempt in range(tries):
        run = subprocess.run([*CHROMIUM, f"--user-data-dir={w.work}/chromium-{path.stem}-{attempt}", "--virtual-time-budget=20000",
                              "--dump-dom", f"file://{page}"], capture_output=True, text=True, timeout=120, check=False)
        found = re.search(r"<pre id=\"o\">(.*?)</pre>", run.stdout, re.S)
        words = html.unescape(found.group(1)) if found else f"no page: {run.stderr[-500:]}"
        values = dict(word.split("=") for word in words.split() if "=" in word)
        if {"duration", "at", "ready"} <= values.keys():
            return float(values["duration"]), float(values["at"]), int(values["ready"])
    raise Failure(f"Chromium says: {words}")


def test_play_in_ffprobe_and_chromium(w):
    daemon = w.daemon(chunk__min_length="20s", chunk__min_bytes=0)
    w.cameras("north", "south")
    start = (int(time.time()) // 86400 - 1) * 86_400_000_000 + 12 * 3_600_000_000
    for camera, media in (("north", H264), ("south", H265)):
        w.steppe("recorder", "record", camera, media, "--start", rfc3339(start), "--pace", "fast")
    daemon.stop()
    chunks = take_out(w)
    expect(len(chunks) >= 4, f"{len(chunks)} chunks")
    known = {md5 for media in (H264, H265) for _, md5 in pictures(media)}
    seen = 0
    for path in chunks:
        begin, duration = probe(w, path)
        got = pictures(path)
        seen += len(got)
        expect(begin == 0, f"{path} begins at {begin} s")
        expect(abs(duration - len(got) / 10) < 0.15, f"{path}: {duration} s for {len(got)} pictures")
        expect(all(md5 in known for _, md5 in got), f"{path} shows pictures that are not in the source")
        middle = pictures(path, ["-ss", str(int(duration) // 2)])
        expect(middle and middle[0][1] in {md5 for _, md5 in got}, f"{path}: nothing after a seek")
    expect(seen == len(pictures(H264)) + len(pictures(H265)), f"{seen} pictures in all chunks")
    # Debian's Chromium has no H.265
    played = 0
    for path in chunks:
        if b"avc1" not in path.read_bytes()[:4096]:
            continue
        duration, at, ready = in_chromium(w, path)
        expect(abs(duration - probe(w, path)[1]) < 0.1, f"{path}: Chromium says {duration} s")
        expect(abs(at - duration / 2) < 0.2 and ready >= 2, f"{path}: a seek to the middle came to {at} s, ready {ready}")
        played += 1
    expect(played >= 2, f"{played} chunks played in Chromium")


@only_on("local")  # how the bytes are stored is nothing to a file
def test_exports_play_in_chromium(w):
    """A window, and one over a gap, kept and closed: the right duration, and a seek to the middle."""
    w.daemon(chunk__min_length="20s", chunk__min_bytes=0)
    w.cameras("north")
    start = yesterday_at(12 * 3600)
    w.record("north", H264, start)  # 79.5 s
    w.record("north", H264, start + 100 * SECOND)
    for name, from_s, to_s, more, length in (("window", 31.3, 52.7, (), 21.4), ("kept", 70, 110, (), 40), ("closed", 70, 110, ("--gaps", "close"), 19.5)):
        path = w.export("north", start + int(from_s * SECOND), start + int(to_s * SECOND), f"{name}.mp4", *more)
        duration, at, ready = in_chromium(w, path)
        expect(abs(duration - length) < 0.3, f"{name}: Chromium says {duration} s, not {length}")
        expect(abs(at - duration / 2) < 0.3 and ready >= 2, f"{name}: a seek to the middle came to {at} s, ready {ready}")
