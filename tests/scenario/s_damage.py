# SPDX-License-Identifier: Apache-2.0
"""Footage that was damaged where it lies: cut chunks, flipped bytes, lost indexes. What is whole is served, what is not is told."""
import json
import re
import time

from world import H264, H265, SECOND, command, expect, only_on, packets, pictures, source_pictures, yesterday_at

FRAG = bytes.fromhex("238f92091505464287f66eae0b956210")


def boxes(data, start=0, end=None):
    """(type, offset, size) of each box."""
    end = len(data) if end is None else end
    while start + 8 <= end:
        size = int.from_bytes(data[start:start + 4], "big")
        yield data[start + 4:start + 8].decode("latin-1"), start, size
        start += size


def sample_sizes(data, offset, size):
    """Of a moof with one video track, as Steppe writes it (docs/format/fragment.md)."""
    at = data.index(b"trun", offset, offset + size) + 8
    count = int.from_bytes(data[at:at + 4], "big")
    return [int.from_bytes(data[at + 8 + 16 * i + 4:at + 8 + 16 * i + 8], "big") for i in range(count)]


class Fragment:
    """Where one lies in a chunk: its steppe-frag box, its moof, its mdat, and what is in it."""

    def __init__(self, data, at):
        self.at, self.moof = at, at + 184
        self.end = self.moof + int.from_bytes(data[at + 64:at + 68], "big")
        inside = {kind: (offset, size) for kind, offset, size in boxes(data, self.moof, self.end)}
        self.moof, self.mdat = inside["moof"][0], inside["mdat"][0]
        self.sizes = sample_sizes(data, *inside["moof"])
        self.session, self.seq = (data[at + 32:at + 40].hex(), int.from_bytes(data[at + 40:at + 48], "big"))
        self.capture_us = int.from_bytes(data[at + 48:at + 56], "big")


def fragments(data):
    return [Fragment(data, offset) for kind, offset, _ in boxes(data) if kind == "uuid" and data[offset + 8:offset + 24] == FRAG]


def whole_packets(parts, cut):
    """The sizes of the samples that lie wholly before the cut."""
    sizes = []
    for part in parts:
        at = part.mdat + 8
        for size in part.sizes:
            at += size
            if at <= cut:
                sizes.append(size)
    return sizes


def packets_of(path, piped):
    """The sizes of a file's video packets as ffprobe reads it, or what it says."""
    probe = "ffprobe -v error -select_streams v -show_entries packet=size -of csv=p=0"
    run = command("sh", "-c", f'cat "$1" | {probe} -' if piped else f'{probe} "$1"', "sh", path, code=None)
    return [int(size) for size in re.findall(r"^(\d+)", run.stdout, re.M)], run.stderr


def test_a_chunk_cut_anywhere_plays_up_to_the_cut(w):
    """At some forty places. As a seekable file ffmpeg takes no cut inside a moof (docs/format/fragment.md); from a pipe, each."""
    daemon = w.daemon(chunk__min_length="20s", chunk__min_bytes=0)
    w.cameras("north")
    w.record("north", H264, yesterday_at(12 * 3600))
    daemon.stop()
    data = w.take_out(w.chunks("north/main")[1], w.work / "chunk.mp4").read_bytes()
    parts = fragments(data)
    expect(len(parts) >= 10, f"{len(parts)} fragments in the chunk")
    cuts = {}
    for part in parts[1::len(parts) // 4]:
        cuts.update({part.at: "border", part.at + 5: "uuid", part.at + 90: "uuid", part.moof: "moof", part.moof + 5: "moof",
                     (part.moof + part.mdat) // 2: "inside moof", part.mdat - 1: "inside moof", part.mdat + 3: "mdat",
                     part.mdat + 9: "mdat", (part.mdat + part.end) // 2: "mdat", part.end - 1: "mdat"})
    seal = parts[-1].end
    cuts.update({seal + 70: "seal", len(data) - 60: "mfra", len(data) - 3: "mfra"})
    expect(len(cuts) >= 40, f"only {len(cuts)} places")
    path = w.work / "cut.mp4"
    for number, (cut, where) in enumerate(sorted(cuts.items())):
        path.write_bytes(data[:cut])
        want = whole_packets(parts, cut)
        for piped in (True,) if where == "inside moof" or number % 3 else (True, False):
            got, words = packets_of(path, piped)
            # the sample that was cut itself may be shown as far as it goes
            expect(got[:len(want)] == want and len(got) <= len(want) + 1,
                   f"cut at {cut} ({where}, piped: {piped}): {len(got)} packets, not {len(want)}: {words}")
    whole, _ = packets_of(w.take_out(w.chunks("north/main")[1], path), True)
    expect(whole == [size for part in parts for size in part.sizes], "and uncut it is whole")


def listed(w, camera, start_us, end_us, *more):
    """The fragments of a window as `steppe fetch` lists them."""
    run = w.steppe("investigator", "fetch", camera, "--from", f"@{start_us}", "--to", f"@{end_us}", "--json", *more)
    return [json.loads(line) for line in run.stdout.splitlines()]


def known(rows):
    return {(row["session"], row["seq"]): row["digest"] for row in rows}


def findings(w, *arguments, code=5):
    run = w.steppe("admin", "fsck", *arguments, "--json", code=code)
    return json.loads(run.stdout)["findings"]


def recorded(w, camera, **settings):
    """Forty seconds of it in chunks, sealed: the window, and the daemon."""
    daemon = w.daemon(chunk__min_length="20s", chunk__min_bytes=0, **settings)
    w.cameras(camera)
    start = yesterday_at(12 * 3600)
    w.record(camera, H265, start)
    daemon.stops()
    daemon.start()
    return daemon, start, start + 41 * SECOND


def afresh(daemon):
    """What it remembers of a chunk is not what is tested."""
    daemon.kill()
    daemon.start()


def test_of_a_cut_chunk_what_is_whole_is_served(w):
    daemon, *window = recorded(w, "south")
    before = listed(w, "south", *window)
    name = w.chunks("south/main")[0]
    good = w.take_out(name, w.work / "good.mp4")
    data = good.read_bytes()
    parts = fragments(data)
    path = w.work / "cut.mp4"
    part = parts[len(parts) // 2]
    for cut in (part.at, part.at + 90, (part.moof + part.mdat) // 2, (part.mdat + part.end) // 2, parts[-1].end + 70):
        path.write_bytes(data[:cut])
        w.put_back(name, path)
        afresh(daemon)
        rows = listed(w, "south", *window)
        lost = {(p.session, p.seq) for p in parts if p.end > cut}
        want = {key: digest for key, digest in known(before).items() if key not in lost}
        expect(known(row for row in rows if not row["damaged"]) == want, f"cut at {cut}: not the {len(want)} fragments that are whole: {rows}")
        causes = {row["seq"]: row["gap_before"] for row in rows if row["gap_before"]}
        expect(causes == ({parts[-1].seq + 1: "damaged"} if lost else {}), f"cut at {cut}: the hole is not told: {causes}")
        for level in (["--quick"], [], ["--deep"]):
            found = {row["what"] for row in findings(w, "south", *level) if row["object"] == name}
            expect("object is shorter than its attribute says" in found and ("seal is damaged" in found or "--quick" in level),
                   f"cut at {cut}: fsck {level} finds {found}")
    w.put_back(name, good)
    afresh(daemon)
    expect(known(listed(w, "south", *window)) == known(before), "put back, and not all is there")
    expect(findings(w, "south", "--deep", code=0) == [], "put back, and fsck finds something")


def test_one_damaged_fragment(w):
    """That one alone is lost, typed so; the others are bit-identical, and fsck --deep names it."""
    daemon, *window = recorded(w, "south")
    before = listed(w, "south", *window)
    name = w.chunks("south/main")[1]
    path = w.take_out(name, w.work / "chunk.mp4")
    data = bytearray(path.read_bytes())
    parts = fragments(data)
    part = parts[len(parts) // 2]
    data[(part.mdat + part.end) // 2] ^= 0x40
    path.write_bytes(data)
    w.put_back(name, path)
    counted = daemon.metric("steppe_damaged_fragments_total")
    for more in ([], ["--backward"]):
        rows = listed(w, "south", *window, *more)
        expect([(row["session"], row["seq"]) for row in rows if row["damaged"]] == [(part.session, part.seq)], rows)
        rest = {key: digest for key, digest in known(before).items() if key != (part.session, part.seq)}
        expect(known(row for row in rows if not row["damaged"]) == rest, f"the others are not there as before: {rows}")
    expect(daemon.metric("steppe_damaged_fragments_total") == counted + 2, "it is not counted")
    timeline = w.timeline("south", *window)
    expect(len(timeline["spans"]) == 1 and timeline["spans"][0]["fragments"] == len(before), timeline)

    # fsck: the index is right, every byte is not
    expect(findings(w, "south", code=0) == [] and findings(w, "south", "--quick", code=0) == [], "media are not read at these levels")
    found = findings(w, "south", "--deep")
    expect(len(found) == 1 and found[0]["what"] == "fragment is damaged" and found[0]["object"] == name, found)
    expect(found[0]["from_us"] == part.capture_us and found[0]["to_us"] == part.capture_us + SECOND, found)

    # the whole GOPs before and after it, frame by frame, and bit-identical by their manifests
    source = source_pictures(H265)
    hole = (part.capture_us - window[0]) // 1000
    for from_ms, to_ms in ((0, hole), (hole + 6_000, 40_000)):
        w.check_window("south", H265, window[0], from_ms, to_ms)
    # over it
    run = w.steppe("investigator", "export", "south", "--from", f"@{window[0]}", "--to", f"@{window[1]}", "-o", w.work / "x.mp4", code=5)
    expect("damaged" in run.stderr and "fsck" in run.stderr and not list(w.work.glob("x.mp4*")), f"not told, or something is left: {run.stderr}")
    w.steppe("investigator", "export", "south", "--from", f"@{window[0]}", "--to", f"@{window[1]}", "-o", w.work / "x.mkv")
    manifest = json.loads((w.work / "x.mkv.manifest.json").read_text())
    expect([(g["cause"], g["start_us"], g["end_us"]) for g in manifest["gaps"]] == [("damaged", part.capture_us, part.capture_us + SECOND)],
           f"the manifest does not tell: {manifest['gaps']}")
    expect(len(manifest["fragments"]) == len(before) - 1, f"{len(manifest['fragments'])} fragments in the manifest")
    w.verify(w.work / "x.mkv")
    sent = packets(H265)
    expect(packets(w.work / "x.mkv") == sent[:hole // 100] + sent[hole // 100 + 10:], "not the packets of the others, as they were sent")


def records(partition):
    """Of 192 bytes each, in no order that matters (docs/format/index.md)."""
    return sorted(partition[i:i + 192] for i in range(0, len(partition), 192))


DAYS = "idx/south/main/days"
LOSSES = {  # what happens to which objects, and what fsck says of it
    "partition removed": {"partition is missing"},
    "partition damaged": {"record is damaged"},
    "days removed": {"days object is missing", "day is not named in the days object"},
    "days damaged": {"days object is damaged", "day is not named in the days object"},
    "both removed": {"days object is missing"},
}


def lose(w, daemon, what, partition):
    for name, word in ((partition, "partition"), (DAYS, "days")):
        if what.split()[0] not in (word, "both"):
            continue
        if "removed" in what:
            w.meta(daemon, "remove", name)
        else:
            bad = bytearray(w.meta(daemon, "get", name))
            bad[len(bad) // 2] ^= 0xff
            w.meta(daemon, "put", name, bad)


def partition_of(us):
    return "idx/south/main/" + time.strftime("%Y%m%d", time.gmtime(us / SECOND))


def test_an_index_is_lost_and_made_anew(w):
    """Partition and days object removed or damaged: told by fsck, rebuilt from the chunks, equal, and so is what is exported."""
    daemon, *window = recorded(w, "south")
    calendar = lambda: json.loads(w.steppe("investigator", "timeline", "south", "--json").stdout)  # noqa: E731
    look = lambda: (listed(w, "south", *window), w.timeline("south", *window), calendar(), pictures(w.export("south", *window)))  # noqa: E731
    before, partition = look(), partition_of(window[0])
    good = records(w.meta(daemon, "get", partition))
    for (what, words), level in zip(LOSSES.items(), ([], ["--quick"], [], ["--quick"], ["--deep"])):
        lose(w, daemon, what, partition)
        found = {row["what"] for row in findings(w, "south", *level)}
        expect(words <= found, f"{what}: fsck {level} finds {found}")
        run = w.steppe("admin", "fsck", "south", "--rebuild-index", "--json")
        repaired = json.loads(run.stdout)["findings"]
        expect(repaired and all(row["repaired"] for row in repaired), f"{what}: {run.stdout}")
        expect(findings(w, "south", "--deep", code=0) == [], f"{what}: and after it fsck is not content")
        expect(look() == before, f"{what}: not what was there")
        expect("days" in what or records(w.meta(daemon, "get", partition)) == good, f"{what}: its records are not byte for byte what they were")


@only_on("local")
def test_an_index_is_made_anew_without_a_daemon(w):
    """fsck --store: all streams, what nothing names too; refused while a daemon has the store."""
    daemon, *window = recorded(w, "south")
    before, partition = listed(w, "south", *window), partition_of(window[0])
    store = ("fsck", "--store", w.store_url)
    run = command(w.program, *store, code=1)
    expect("stop storaged" in run.stderr, run.stderr)
    for what, words in LOSSES.items():
        lose(w, daemon, what, partition)
        daemon.stops()
        for level in (["--quick"], [], ["--deep"]):
            found = {row["what"] for row in json.loads(command(w.program, *store, *level, "--json", code=5).stdout)["findings"]}
            expect(words <= found | ({"partition is missing"} if "chunk is in no partition" in found else set()), f"{what}: {found}")
        command(w.program, *store, "--rebuild-index")
        command(w.program, *store, "--deep")
        daemon.start()
        expect(listed(w, "south", *window) == before, f"{what}: not what was there")
    # the head too; and a chunk that is gone stays told
    w.meta(daemon, "remove", "head/south/main")
    daemon.stops()
    expect("head is missing" in command(w.program, *store, code=5).stdout, "a lost head is not told")
    command(w.program, *store, "--rebuild-index")
    command(w.program, *store, "--deep")
    daemon.start()
    expect(listed(w, "south", *window) == before, "without its head")
    name = w.chunks("south/main")[1]
    w.chunk_file(name).unlink()
    afresh(daemon)
    for level in ("--quick", "--utc", "--deep"):
        found = {row["object"] for row in findings(w, "south", level)}
        expect(found == {name}, f"a lost chunk: fsck {level} names {found}")
    rows = listed(w, "south", *window)
    expect(0 < len(rows) < len(before) and "damaged" in {row["gap_before"] for row in rows}, f"a lost chunk: {rows}")
