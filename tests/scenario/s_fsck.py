# SPDX-License-Identifier: Apache-2.0
"""steppe fsck through the daemon: one camera, all of them, and ended in the middle."""
import json
import signal
import subprocess

from world import H265, SECOND, expect, wait_for, yesterday_at


def test_all_cameras(w):
    """Without CAMERA all that are registered; those without footage are passed over, a damaged one is named."""
    w.daemon(chunk__min_length="5s", chunk__min_bytes=0)
    w.cameras("east", "north", "south", "west")
    for camera in ("east", "north", "west"):
        w.record(camera, H265, yesterday_at(3600))
    report = json.loads(w.steppe("admin", "fsck", "--deep", "--json").stdout)
    expect(report["complete"] and report["streams"] == 3 and not report["findings"] and report["bytes"] > 3_000_000, report)
    expect("3 streams" in w.steppe("admin", "fsck", "--quick").stdout, "no sum")
    name = w.chunks("north/main")[2]
    path = w.take_out(name, w.work / "one.mp4")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xff
    path.write_bytes(data)
    w.put_back(name, path)
    run = w.steppe("admin", "fsck", "--deep", "--json", code=5)
    report = json.loads(run.stdout)
    expect(report["complete"] and report["streams"] == 3 and {f["stream"] for f in report["findings"]} == {"north/main"}, report)
    expect(report["findings"][0]["object"] == name, report)


def test_ended_in_the_middle(w):
    """Ctrl-C ends it though the daemon does not answer; what it has to say is whole."""
    daemon = w.daemon()
    w.cameras("east", "north")
    w.record("east", H265, yesterday_at(3600))
    daemon.signal(signal.SIGSTOP)
    for arguments in (("--json",), ("east", "--json"), ("east",)):
        checking = w.start("admin", "fsck", *arguments, log=f"fsck{len(arguments)}{arguments[0]}.out")
        wait_for(lambda: (w.work / f"fsck{len(arguments)}{arguments[0]}.out").exists(), "it runs")  # noqa: B023
        try:
            checking.process.wait(2)
            expect(False, f"it ended by itself: {checking.text()}")
        except subprocess.TimeoutExpired:
            pass
        checking.process.send_signal(signal.SIGINT)
        expect(checking.ends(20) == 130, checking.text())
        expect("stopped: 0 streams checked" in checking.text() or arguments == ("--json",), checking.text())
    daemon.signal(signal.SIGCONT)
    expect(w.timeline("east", yesterday_at(3600), yesterday_at(3600) + 30 * SECOND)["spans"], "the daemon is well afterwards")
