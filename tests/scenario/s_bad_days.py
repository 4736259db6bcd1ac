# SPDX-License-Identifier: Apache-2.0
"""What bad input and bad days get: a named refusal or a stated behaviour, and a counter."""
import json
import os
import signal
import socket
import subprocess
import time

from world import H264, H265, SECOND, Camera, Ledger, Skipped, command, expect, now_us, only_on, rfc3339, wait_for, yesterday_at


def counted(daemon, refusal, at_least=1):
    wait_for(lambda: daemon.refusals(refusal) >= at_least, f"the counter of {refusal}")
    expect(daemon.lines("refused", f"refusal={refusal}"), f"no line about {refusal}")


def test_an_unknown_camera(w):
    daemon = w.daemon()
    for more in (("--pace", "fast"), ("--pace", "real")):  # refused while the file is read, and after
        run = w.record("nobody", H265, yesterday_at(0), "--grace", "1h", *more, code=3)
        expect("unknown-camera" in run.stderr and "camera add" in run.stderr, run.stderr)
    counted(daemon, "unknown-camera", 2)
    w.steppe("admin", "record", "nobody", H265, "--grace", "1h", code=3)
    counted(daemon, "role")


def test_an_unknown_camera_among_others(w):
    """The others go on, and the table says what is wrong with it."""
    daemon = w.daemon()
    w.cameras("gate")
    listed = w.work / "cameras.yaml"
    listed.write_text(f"cameras:\n  - {{camera: nobody, source: {H265}, loop: yes}}\n  - {{camera: gate, source: {H265}, loop: yes}}\n")
    recorder = w.start("recorder", "record", "--cameras", listed, "--grace", "1h")
    counted(daemon, "unknown-camera")
    wait_for(lambda: daemon.metric("steppe_durable_bytes_total") > 0, "the other records")
    wait_for(lambda: "nobody/main: refused" in recorder.text(), "the refused one is shown")
    expect(recorder.runs(), "it ended though one of two records")
    expect(recorder.stop() == 3, recorder.text()[-1000:])


def test_a_spool_that_another_recorder_uses(w):
    daemon = w.daemon()
    w.cameras("gate")
    first = w.start("recorder", "record", "gate", H265, "--loop")
    wait_for(lambda: daemon.metric("steppe_durable_bytes_total") > 0, "the first records")
    run = w.steppe("recorder", "record", "gate", H265, "--loop", code=1)
    expect(f"process {first.pid} (steppe)" in run.stderr and "spool-recorder" in run.stderr and "--spool" in run.stderr, run.stderr)
    expect(first.stop() == 0, first.text()[-1000:])


def test_bad_names_are_refused_before_anything_is_asked(w):
    w.daemon()
    for name in ("a b", "..", "gate/7", "x" * 65, ""):
        w.steppe("admin", "camera", "add", name, code=2)
    w.steppe("admin", "camera", "add", "15010200001310000017")  # GB/T 28181


def test_windows_the_wrong_way_round(w):
    w.daemon()
    w.cameras("gate")
    start = yesterday_at(6 * 3600)
    w.record("gate", H265, start)
    for act in (("timeline", "gate"), ("export", "gate", "-o", w.work / "x.mp4"), ("fetch", "gate")):
        run = w.steppe("investigator", *act, "--from", f"@{start + 9 * SECOND}", "--to", f"@{start + SECOND}", code=None)
        expect(run.returncode in (2, 3), f"{act[0]} gave {run.returncode}: {run.stderr}")
        expect(run.stderr.strip(), "and says nothing")


def test_a_camera_whose_clock_goes_back_and_forth(w):
    """An hour back, then over what is there already: accepted, flagged, and every picture can be had."""
    daemon = w.daemon()
    w.cameras("gate")
    start = yesterday_at(12 * 3600)
    for shift in (0, -3600, 20):
        w.record("gate", H265, start + shift * SECOND)
    earlier = start - 3600 * SECOND
    w.check_window("gate", H265, earlier, 0, 40_000)
    expect(daemon.metric("steppe_discontinuities_total") >= 2, "time that does not follow is not counted")
    timeline = w.timeline("gate", start, start + 60 * SECOND)
    expect(len(timeline["spans"]) == 1 and timeline["spans"][0]["end_us"] - start - 60 * SECOND in range(-200_000, 200_000), timeline)
    expect(not timeline["gaps"], timeline)
    w.check_window("gate", H265, start, 0, 19_900)
    w.export("gate", start, start + 60 * SECOND, "both.mp4")
    run = w.steppe("admin", "fsck", "gate", "--deep")
    expect("finding" not in run.stdout or "0 finding" in run.stdout or "no finding" in run.stdout, run.stdout)


def test_a_camera_that_lives_next_year(w):
    w.daemon(record__any_camera="true")
    year = 365 * 86400 * SECOND
    ledger = Ledger(w)
    ledger.record(2, 4, shift_us=year)
    ledger.ends()
    ledger.all_is_there(now_us() + year - 60 * SECOND, now_us() + year + 60 * SECOND)


def test_a_second_recorder_on_a_busy_stream(w):
    daemon = w.daemon()
    w.cameras("gate")
    first = w.start("one", "record", "gate", H264, "--pace", "real", "--loop", role="recorder")
    wait_for(lambda: daemon.metric("steppe_durable_bytes_total") > 0, "the first records")
    second = w.start("two", "record", "gate", H265, "--pace", "real", "--loop", role="recorder")
    counted(daemon, "busy")
    expect(daemon.lines("refusal=busy", "one"), "the refusal does not name the other recorder")
    expect(first.runs() and second.runs(), "both go on: one records, the other waits")
    first.kill()
    wait_for(lambda: daemon.lines("recording stream=gate/main", "recorder=two"), "the second records once the first is gone")
    expect(second.stop() == 0, second.text()[-1000:])


ACTS = {
    "record": ({"recorder"}, lambda w, x: ("record", "gate", H265, "--start", rfc3339(w.start_us + 3600 * SECOND), "--grace", "1s")),
    "timeline": ({"investigator", "admin"}, lambda w, x: ("timeline", "gate", *x)),
    "calendar": ({"investigator", "admin"}, lambda w, x: ("timeline", "gate")),
    "export": ({"investigator"}, lambda w, x: ("export", "gate", *x, "--force", "-o", w.work / "x.mp4")),
    "fetch": ({"investigator"}, lambda w, x: ("fetch", "gate", *x)),
    "snapshot": ({"investigator"}, lambda w, x: ("snapshot", "gate", "--at", x[1], "--force", "-o", w.work / "x.jpg")),
    "add": ({"admin"}, lambda w, x: ("camera", "add", "other")),
    "remove": ({"admin"}, lambda w, x: ("camera", "remove", "other")),
    "fsck": ({"admin"}, lambda w, x: ("fsck", "gate")),
    "rebuild": ({"admin"}, lambda w, x: ("fsck", "gate", "--rebuild-index")),
}


def test_roles(w):
    """Each role, each act: done, or refused by name and counted."""
    daemon = w.daemon()
    w.cameras("gate", "other")
    w.start_us = yesterday_at(5 * 3600)
    w.record("gate", H265, w.start_us)
    window = ("--from", f"@{w.start_us + 5 * SECOND}", "--to", f"@{w.start_us + 8 * SECOND}")
    for role in ("node", "recorder", "investigator", "admin"):
        before, refused = daemon.refusals("role"), 0
        for act, (roles, arguments) in ACTS.items():
            run = w.steppe(f"a-{role}", *arguments(w, window), role=role, code=None)
            if role in roles:
                expect(run.returncode == 0, f"{role} may {act}, but: {run.stderr}")
                continue
            refused += 1
            expect(run.returncode == 3 and "role" in run.stderr, f"{role} may not {act}, but {run.returncode}: {run.stderr}")
        expect(daemon.refusals("role") - before >= refused, f"{refused} refusals of {role}, {daemon.refusals('role') - before} counted")


def certificate(w, name, role, days_from, days_to):
    """A certificate of the cluster's own authority for other days than today's, by openssl: its configuration file."""
    w.config("template", role)
    (w.work / "ca").mkdir(exist_ok=True)
    (w.work / "ca" / "index").write_text("")
    (w.work / "ca" / "serial").write_text("7777\n")
    conf = w.work / "ca" / "conf"
    conf.write_text(f"[ca]\ndefault_ca=c\n[c]\ndatabase={w.work}/ca/index\nserial={w.work}/ca/serial\nnew_certs_dir={w.work}/ca\n"
                    f"default_md=sha256\npolicy=p\nx509_extensions=x\n[p]\ncommonName=supplied\n[x]\nsubjectAltName=URI:steppe:role:{role}\n")
    when = [time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + 86400 * days)) for days in (days_from, days_to)]
    command("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", "-keyout",
            w.pki / f"{name}.key", "-out", w.work / "ca" / "csr")
    command("openssl", "ca", "-batch", "-config", conf, "-cert", w.pki / "ca.crt", "-keyfile", w.pki / "ca.key", "-startdate", when[0],
            "-enddate", when[1], "-in", w.work / "ca" / "csr", "-out", w.pki / f"{name}.crt", "-notext")
    path = w.work / f"{name}.yaml"
    path.write_text(w.config("template", role).read_text().replace("template.", f"{name}."))


def test_certificates_that_are_not_good(w):
    daemon = w.daemon()
    w.cameras("gate")
    start = yesterday_at(5 * 3600)
    w.record("gate", H265, start)
    ask = ("timeline", "gate", "--from", f"@{start}", "--to", f"@{start + SECOND}")
    failed = daemon.metric("steppe_handshakes_failed_total")

    def refused(who, words):
        mark = daemon.mark()
        run = w.steppe(who, *ask, role="investigator", code=None)
        expect(run.returncode == 6, f"{who} got {run.returncode}: {run.stderr}")
        daemon.waits_until_said("connection refused", mark)
        line = daemon.lines("connection refused", since=mark)[0]
        expect(words in line, f"{who}: not '{words}' but: {line}")

    certificate(w, "old", "investigator", -30, -1)
    refused("old", "expired")
    certificate(w, "early", "investigator", 1, 30)
    refused("early", "not valid yet")
    w.steppe("fired", *ask, role="investigator")
    command(w.program, "pki", "revoke", w.pki, "fired")
    mark = daemon.mark()
    daemon.signal(signal.SIGHUP)
    daemon.waits_until_said("certificates", mark)
    refused("fired", "revoked")
    w.steppe("investigator", *ask)
    foreign = w.work / "foreign"
    command(w.program, "pki", "init", foreign)
    command(w.program, "pki", "issue", foreign, "spy", "--role", "investigator", "--config-out", w.work / "spy.yaml", "--cluster",
            w.addresses())
    run = w.steppe("spy", *ask, code=6)
    expect("CA" in run.stderr or "certificate" in run.stderr, f"it does not say why: {run.stderr}")
    text = (w.work / "spy.yaml").read_text().replace(f"{foreign}/ca.crt", f"{w.pki}/ca.crt")
    (w.work / "spy.yaml").write_text(text)
    refused("spy", "CA that is not trusted")
    expect(daemon.metric("steppe_handshakes_failed_total") - failed >= 4, "they are not counted")


def test_more_streams_than_it_may(w):
    """The others wait in their recorders and come in as soon as there is room."""
    daemon = w.daemon(record__any_camera="true", limits__streams=4)
    ledger = Ledger(w)
    ledger.record(6, 3600)
    ledger.grows(4)
    counted(daemon, "too-many-streams")
    expect(daemon.metric("steppe_streams_recording") <= 4, "more than it may")
    daemon.settings["limits.streams"] = "100"
    expect(daemon.stop() == 0, "an orderly stop")
    daemon.start()
    wait_for(lambda: len(ledger.streams()) == 6, "all six record")
    ledger.grows(12)
    expect(ledger.child.stop() == 0, ledger.child.text()[-1000:])
    ledger.all_is_there()


def test_connections_that_say_nothing(w):
    """Raw ones, ones that talk rubbish, and one that stops in the middle of TLS: all closed, and nobody else notices."""
    daemon = w.daemon(record__any_camera="true")
    ledger = Ledger(w)
    ledger.record(2, 3600)
    ledger.grows(2)
    failed = daemon.metric("steppe_handshakes_failed_total")
    silent = [socket.create_connection(("127.0.0.1", daemon.port)) for _ in range(20)]
    for rubbish in silent[:5]:
        rubbish.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    silent[5].sendall(bytes.fromhex("16030102000100"))
    ledger.grows(4)
    for one in silent:
        one.settimeout(60)
        try:
            while one.recv(4096):
                pass
        except ConnectionResetError:
            pass
        except TimeoutError:
            expect(False, "a connection that says nothing stays open")
    wait_for(lambda: daemon.metric("steppe_handshakes_failed_total") >= failed + 20, "they are counted")
    ledger.grows(2)
    expect(ledger.child.stop() == 0, ledger.child.text()[-1000:])
    ledger.all_is_there()


def test_a_peer_that_stops_reading(w):
    """A viewer frozen in the middle of a long fetch: it costs its window and no more, and is let go; others are served."""
    daemon = w.daemon()
    w.cameras("gate")
    start = yesterday_at(4 * 3600)
    for i in range(4):
        w.record("gate", H264, start + i * 80 * SECOND)
    window = ("--from", f"@{start}", "--to", f"@{start + 320 * SECOND}")
    frozen = subprocess.Popen([w.program, "fetch", "gate", *window, "-o", "-", "--config", w.config("investigator")],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        frozen.stdout.read(100_000)
        frozen.send_signal(signal.SIGSTOP)
        wait_for(lambda: daemon.metric("steppe_fetches") == 1, "the fetch is under way")
        expect(daemon.metric("steppe_fetched_bytes_total") < 26e6, "everything was sent to somebody who does not read")
        w.check_window("gate", H264, start, 10_000, 14_000)
        wait_for(lambda: daemon.metric("steppe_fetches") == 0, "the frozen viewer is let go", 60)
        expect(daemon.metric("steppe_connections_lost_total") >= 1, "its connection is not counted as lost")
    finally:
        frozen.kill()
        frozen.wait()


def test_a_half_open_connection(w):
    """A recorder that hangs: its connection is given up, counted, and when it goes on everything arrives."""
    daemon = w.daemon(record__any_camera="true")
    ledger = Ledger(w)
    ledger.record(3, 3600)
    ledger.grows(6)
    lost = daemon.metric("steppe_connections_lost_total")
    ledger.child.process.send_signal(signal.SIGSTOP)
    wait_for(lambda: daemon.metric("steppe_connections_lost_total") > lost, "the daemon gives it up", 60)
    wait_for(lambda: daemon.metric("steppe_streams_recording") == 0, "its streams are free", 30)
    ledger.child.process.send_signal(signal.SIGCONT)
    ledger.grows(12)
    expect(ledger.child.stop() == 0, ledger.child.text()[-1000:])
    ledger.all_is_there()


def test_a_flapping_camera(w):
    """It comes and goes: each hole has its cause, the chunk goes on, and nobody restarts anything."""
    daemon = w.daemon()
    w.cameras("gate")
    camera = Camera(w, f"street={H264}")
    recorder = w.start("recorder", "record", "gate", camera.url("street"))
    for _ in range(3):
        wait_for(lambda: len(camera.sent("street")) > 25, "the camera is watched", 60)  # noqa: B023
        told = daemon.metric("steppe_gaps_reported_total")
        camera.kill()
        wait_for(lambda: daemon.metric("steppe_gaps_reported_total") > told, "the hole is told of", 60)  # noqa: B023
        camera = camera.comes_back()
    wait_for(lambda: len(camera.sent("street")) > 25, "the camera is watched", 60)
    expect(recorder.stop() == 0, recorder.text()[-1000:])
    timeline = w.timeline("gate", now_us() - 600 * SECOND, now_us())
    inner = [g for g in timeline["gaps"] if g["end_us"] < timeline["spans"][-1]["end_us"]]
    expect(len(timeline["spans"]) >= 3 and len(inner) == len(timeline["spans"]) - 1, timeline)
    expect(all(g["cause"] in ("camera off", "network") for g in inner), timeline)
    expect(daemon.metric("steppe_discontinuities_total") >= len(inner), "not counted")
    expect(len(w.chunks("gate/main")) <= 2, f"a chunk each time: {w.chunks('gate/main')}")


def test_a_full_store(w):
    """store-full, loudly; recorders spool; once there is room, everything arrives."""
    if w.kind == "local":
        w.store_url += "?quota=3000000"
    daemon = w.daemon(record__any_camera="true", chunk__min_length="5s", chunk__min_bytes=0)
    quota(w, 3_000_000)
    ledger = Ledger(w)
    try:
        ledger.record(8, 3600)
        counted(daemon, "store-full")
        wait_for(lambda: sum(p.stat().st_blocks for p in ledger.spool.rglob("*")) * 512 > 500_000, "the recorders spool", 60)
        wait_for(lambda: daemon.get("/health")[0] == 503, "/health tells")
        status, words = daemon.get("/health")
        expect((status == 503 and "full" in words) or status == 200, f"/health says {status} {words}")  # it may take a batch and be well
        expect(daemon.lines("health=full") and daemon.metric("steppe_store_healthy") in (0, 1), "no line about it")
        expect(sum(daemon.metric(f'steppe_store_writes_full_total{{pool="{pool}"}}') for pool in ("meta", "data")) > 0, "not counted")
    finally:
        quota(w, 0)
    if w.kind == "local":
        expect(daemon.stop() == 0, "an orderly stop while full")
        daemon.settings["store"] = w.store_url.split("?")[0]
        daemon.start()
    ledger.grows(40)
    wait_for(lambda: daemon.get("/health") == (200, "ok\n"), "/health tells that there is room")
    expect(json.loads(w.steppe("admin", "status", "--json").stdout)["health"] == "ok", "so does status")
    expect(ledger.child.stop() == 0, ledger.child.text()[-1000:])
    ledger.all_is_there()
    for stream in ledger.streams():
        w.expect_no_gap(stream.split("/")[0], ledger.began_us, now_us())


test_a_full_store.alone = True  # on Ceph it is the pool that is full


def quota(w, more):
    """On Ceph: the pool takes so many bytes more; 0: no limit."""
    if w.kind == "ceph":
        ceph = ("ceph", "--conf", f"{w.ceph}/ceph.conf")
        pools = json.loads(command(*ceph, "df", "-f", "json").stdout)["pools"]
        stored = next(pool["stats"]["stored"] for pool in pools if pool["name"] == "steppe.data")
        command(*ceph, "osd", "pool", "set-quota", "steppe.data", "max_bytes", stored + more if more else 0)


@only_on("local")
def test_a_full_disk(w):
    """A real file system without room, and somebody who makes room while all run."""
    if os.geteuid() != 0:
        raise Skipped("only root can mount a small file system")
    disk = w.work / "disk"
    disk.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", str(disk)], capture_output=True, check=False)
    if mount.returncode:
        raise Skipped("no right to mount a small file system")
    try:
        w.store_url = f"file://{disk}/video"
        daemon = w.daemon(record__any_camera="true", chunk__min_length="5s", chunk__min_bytes=0)
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        filler = disk / "filler"
        filler.write_bytes(bytes(free - 3_000_000))
        ledger = Ledger(w)
        ledger.record(8, 3600)
        counted(daemon, "store-full")
        wait_for(lambda: daemon.get("/health") == (503, "the store is full: recordings are refused\n"), "/health tells")
        expect("full" in json.loads(w.steppe("admin", "status", "--json").stdout)["health"], "status tells nothing")
        filler.unlink()
        ledger.grows(24)
        wait_for(lambda: daemon.get("/health")[0] == 200, "/health tells that there is room")
        expect(ledger.child.stop() == 0, ledger.child.text()[-1000:])
        ledger.all_is_there()
        expect(daemon.stop() == 0, "an orderly stop")
    finally:
        w.end()
        subprocess.run(["umount", "-l", str(disk)], check=False)
