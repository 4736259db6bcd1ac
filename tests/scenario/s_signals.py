# SPDX-License-Identifier: Apache-2.0
"""What an operator does to running programs: SIGTERM, SIGHUP."""
import hashlib
import json
import signal
import socket
import ssl
import time

from world import H264, SECOND, SLOW, Daemon, Ledger, command, expect, now_us, wait_for

CAMERAS = 16
SEAL = bytes.fromhex("c06b8943f8cb4f5ab1595639bf28706a")


def is_sealed(w, name):
    data = w.take_out(name, w.work / "last.mp4").read_bytes()
    at = 0
    while at + 24 <= len(data):
        if data[at + 4:at + 8] == b"uuid" and data[at + 8:at + 24] == SEAL:
            return True
        size = int.from_bytes(data[at:at + 4], "big")
        if size < 8:
            return False
        at += size
    return False


def test_sigterm_while_sixteen_cameras_record(w):
    """Batches are finished, chunks sealed, 0 in time; recorders keep what is not durable and carry on with the next one."""
    daemon = w.daemon(record__any_camera="true", stop_timeout="20s")
    ledger = Ledger(w)
    ledger.record(CAMERAS, 3600)
    for _ in range(2):
        ledger.grows(2 * CAMERAS)
        mark, began = daemon.mark(), time.monotonic()
        expect(daemon.stop() == 0, f"not in order: {daemon.log.read_text()[-1500:]}")
        took = time.monotonic() - began
        expect(took < 20 * SLOW, f"it took {took:.1f} s to stop")
        expect(daemon.said("stopping signal=15", mark) and daemon.said("stopped node=node1", mark), "it does not say so")
        for stream in ledger.streams():
            last = w.chunks(stream)[-1]
            expect(is_sealed(w, last), f"{last} was left open")
        w.tells(f"stopped in {took:.1f} s")
        daemon.start()
    ledger.grows(2 * CAMERAS)
    expect(ledger.child.stop() == 0, ledger.child.text()[-1000:])
    ledger.all_is_there()
    for stream in ledger.streams():
        w.expect_no_gap(stream.split("/")[0], ledger.began_us, now_us())
        found = json.loads(w.steppe("admin", "fsck", stream.split("/")[0], "--deep", "--json").stdout)["findings"]
        expect(not found, f"{stream}: {found}")


def ledger_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_sigterm_of_a_recorder(w):
    """0 when all is kept; 7 when not, and then the next run of the same spool sends it first."""
    daemon = w.daemon()
    w.cameras("gate")
    began, path = now_us(), w.work / "kept.jsonl"
    record = ("record", "gate", H264, "--pace", "real", "--loop", "--ledger", path, "--grace", "2s")
    recorder = w.start("recorder", *record)
    wait_for(lambda: len(ledger_of(path)) >= 3, "the first fragments are kept")
    expect(recorder.stop() == 0, f"all is kept, but: {recorder.text()[-1000:]}")
    recorder = w.start("recorder", *record)
    wait_for(lambda: len(ledger_of(path)) >= 6, "the next are kept")
    daemon.stops()
    time.sleep(3)  # what is taken meanwhile
    ended_us = now_us()
    expect(recorder.stop() == 7, f"some is not kept, but {recorder.process.returncode}: {recorder.text()[-1000:]}")
    expect("spool" in recorder.text(), f"it does not say where the rest is: {recorder.text()[-1000:]}")
    daemon.start()
    recorder = w.start("recorder", *record)
    kept = len(ledger_of(path))
    wait_for(lambda: len(ledger_of(path)) >= kept + 6, "what was in the spool, and more")
    expect(recorder.stop() == 0, recorder.text()[-1000:])
    run = w.steppe("investigator", "fetch", "gate", "--from", f"@{began - SECOND}", "--to", f"@{now_us() + SECOND}", "--json")
    there = [json.loads(line) for line in run.stdout.splitlines()]
    known = {(row["session"], row["seq"]): row["digest"] for row in there}
    expect(len(known) == len(there), "a fragment comes twice")
    lost = [row for row in ledger_of(path) if known.get((row["session"], row["seq"])) != row["digest"]]
    expect(ledger_of(path) and not lost, f"acknowledged and not there: {lost}")
    last = max(row["capture_us"] + row["duration_us"] for row in there if row["capture_us"] < ended_us)
    expect(last > ended_us - 1_500_000, f"what was in the spool did not arrive: up to {(ended_us - last) / 1e6} s before the end")


def shown_certificate(w, daemon, who="investigator"):
    """The digest of the certificate that a new connection is shown, and of the file."""
    w.config(who)
    context = ssl.create_default_context(cafile=w.pki / "ca.crt")
    context.check_hostname = False
    context.load_cert_chain(w.pki / f"{who}.crt", w.pki / f"{who}.key")
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=30) as plain, context.wrap_socket(plain) as tls:
        shown = tls.getpeercert(binary_form=True)
    file = ssl.PEM_cert_to_DER_cert((w.pki / "node1.crt").read_text())
    return hashlib.sha256(shown).hexdigest(), hashlib.sha256(file).hexdigest()


def hang_up(daemon, words):
    mark = daemon.mark()
    daemon.signal(signal.SIGHUP)
    daemon.waits_until_said(words, mark)


def test_sighup(w):
    """A renewed certificate, a revoked one, another log level: for new connections, and recordings go on as if nothing were."""
    settings = w.work / "storaged.yaml"
    settings.write_text("log_level: info\n")
    daemon = Daemon(w, record__any_camera="true")
    daemon.config = settings
    w.daemons.append(daemon)
    daemon.start()
    ledger = Ledger(w)
    ledger.record(CAMERAS, 3600)
    ledger.grows(CAMERAS)
    ask = ("camera", "list")
    w.steppe("auditor", *ask, role="admin")
    before, file = shown_certificate(w, daemon)
    expect(before == file, "not the certificate of the file")

    for _ in range(40):  # they coalesce, and none is one too many
        daemon.signal(signal.SIGHUP)
    ledger.grows(CAMERAS)
    command(w.program, "pki", "renew", w.pki, "node1")
    expect(shown_certificate(w, daemon)[0] == before, "a new certificate before it was told")
    hang_up(daemon, "certificates")
    shown, file = shown_certificate(w, daemon)
    expect(shown == file != before, "the renewed certificate is not shown")

    command(w.program, "pki", "revoke", w.pki, "auditor")
    w.steppe("auditor", *ask, role="admin")
    hang_up(daemon, "certificates")
    w.steppe("auditor", *ask, role="admin", code=6)
    window = ("timeline", "cam-000", "--from", f"@{ledger.began_us}", "--to", f"@{now_us()}")
    w.steppe("investigator", *window)

    for level, spoken in (("debug", True), ("warn", False), ("info", False)):
        settings.write_text(f"log_level: {level}\n")
        mark = daemon.mark()
        daemon.signal(signal.SIGHUP)

        def asked():
            w.steppe("investigator", *window)
            return daemon.said(" debug ", mark) == spoken and (level != "warn" or not daemon.said(" info ", daemon_mark))
        daemon_mark = daemon.mark()
        wait_for(asked, f"the log level is {level}")
        expect(daemon.runs(), "it ended")

    # files that are no good are told, and what was in force stays
    good = (w.pki / "node1.crt").read_text()
    (w.pki / "node1.crt").write_text("no certificate")
    hang_up(daemon, "node1.crt")
    (w.pki / "node1.crt").write_text(good)
    expect(shown_certificate(w, daemon) == (shown, file), "and now it has none")

    ledger.grows(2 * CAMERAS)
    expect(ledger.child.stop() == 0, ledger.child.text()[-1000:])
    text = ledger.path.read_text()
    expect(text.count("reconnects 0\n") == CAMERAS, f"a recorder had to connect again: {[line for line in text.splitlines() if line.startswith('shown')]}")
    ledger.all_is_there()
