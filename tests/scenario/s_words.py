# SPDX-License-Identifier: Apache-2.0
"""What programs say of themselves: audit lines, status, help, man pages, completion."""
import json
import re

from world import H264, H265, SECOND, TOP, Ledger, command, expect, wait_for, yesterday_at


def keys(line):
    """key=value and key="words" of a log line."""
    return {key: value.strip('"') for key, value in re.findall(r'(\w+)=("[^"]*"|\S+)', line)}


def test_each_act_leaves_one_audit_line(w):
    """Who, what, window, purpose, case: one line for each fetch, export, snapshot and admin act, done or refused by what it asks for."""
    daemon = w.daemon()
    w.cameras("gate")
    start = yesterday_at(8 * 3600)
    w.record("gate", H265, start)
    window = {"from_us": str(start + 5 * SECOND), "to_us": str(start + 8 * SECOND)}
    asked = ("--from", f"@{window['from_us']}", "--to", f"@{window['to_us']}")
    why = ("--purpose", 'van "blue", gate', "--case", "K-2026-117")
    said = {"purpose": "van 'blue', gate", "case": "K-2026-117"}
    stream = {"stream": "gate/main"}

    def one(who, arguments, code=0, **words):
        mark = daemon.mark()
        w.steppe(who, *arguments, code=code)
        lines = [keys(line) for line in daemon.lines(" audit ", since=mark)]
        expect(len(lines) == 1, f"{arguments[:2]}: {len(lines)} lines: {lines}")
        got = lines[0]
        expect(got["who"] == who and got["address"].startswith("127.0.0.1:"), f"{arguments[:2]}: who was it? {got}")
        expect(words.items() <= got.items(), f"{arguments[:2]}: not {words}: {got}")
        return got

    one("investigator", ("fetch", "gate", *asked, *why), act="fetch", follow="0", sync_only="0", **stream, **window, **said)
    one("investigator", ("fetch", "gate", *asked, "--sync-only"), code=4, act="fetch", sync_only="1", **stream, **window, purpose="",
        case="")  # no sync picture lies in it
    one("investigator", ("follow", "gate", "--from", asked[1], "--limit", "2", *why), act="fetch", follow="1", from_us=window["from_us"],
        **stream, **said)
    got = one("investigator", ("export", "gate", *asked, "-o", w.work / "a.mp4", *why), act="clip", **stream, **said)
    expect(int(got["from_us"]) <= int(window["from_us"]) and int(got["to_us"]) >= int(window["to_us"]), f"another window: {got}")
    one("investigator", ("export", "gate", *asked, "-o", w.work / "a.mkv", *why), act="fetch", **stream, **window, **said)
    one("investigator", ("snapshot", "gate", "--at", asked[1], "-o", w.work / "a.jpg", *why), **stream, **said)
    one("admin", ("camera", "add", "other"), act="camera-put", camera="other")
    one("admin", ("camera", "remove", "other"), act="camera-remove", camera="other")
    one("admin", ("fsck", "gate", "--deep"), act="fsck", level="3", **stream)
    one("admin", ("fsck", "gate", "--rebuild-index"), act="rebuild-index", **stream)
    # what was asked for and is not there was asked for
    one("investigator", ("fetch", "nobody", *asked, *why), code=4, act="fetch", stream="nobody/main", **window, **said)
    one("admin", ("camera", "remove", "nobody"), code=4, act="camera-remove", camera="nobody")
    # lines cannot be made up from outside
    mark = daemon.mark()
    w.steppe("investigator", "fetch", "gate", *asked, "--purpose", "x\n2026-01-01T00:00:00Z info audit act=fetch who=root")
    expect(len(daemon.lines("audit", since=mark)) == 1, f"a line was forged: {daemon.lines('audit', since=mark)}")
    # looking at what there is, is no act; what the role does not allow leaves a line of refusal, with who
    mark = daemon.mark()
    w.steppe("investigator", "timeline", "gate", *asked)
    w.steppe("investigator", "timeline", "gate")
    w.steppe("admin", "camera", "list")
    w.steppe("admin", "status")
    expect(not daemon.lines(" audit ", since=mark), daemon.lines(" audit ", since=mark))
    w.steppe("admin", "fetch", "gate", *asked, code=3)
    w.steppe("recorder", "export", "gate", *asked, "-o", w.work / "b.mp4", code=3)
    w.steppe("investigator", "camera", "add", "mine", code=3)
    refused = [keys(line) for line in daemon.lines("refused", "refusal=role", since=mark)]
    expect(sorted(line["peer"] for line in refused) == ["admin", "investigator", "recorder"], f"who was refused? {refused}")
    expect(not daemon.lines(" audit ", since=mark), "a refused act is no act")


def test_status(w):
    daemon = w.daemon(record__any_camera="true")
    ledger = Ledger(w)
    ledger.record(3, 3600)
    ledger.grows(6)

    def kept():
        status = json.loads(w.steppe("admin", "status", "--streams", "--json").stdout)
        return status if len(status["streams"]) == 3 and all(s["bytes_per_second"] > 0 for s in status["streams"]) else None
    status = wait_for(kept, "three streams in the status")
    expect(status["node"] == "node1" and status["health"] == "ok" and status["streams_open"] == 3, status)
    expect(status["started_us"] < status["now_us"] and status["bytes_in"] > 0 and status["connections"] >= 2, status)
    expect([p["name"] for p in status["pools"]][:2] == ["meta", "data"] and all(p["total_bytes"] > 0 for p in status["pools"]), status["pools"])
    for stream in status["streams"]:
        expect(stream["recording"] and stream["recorder"] == "recorder" and stream["epoch"] >= 1, stream)
        expect(abs(status["now_us"] - stream["durable_until_us"]) < 60 * SECOND and stream["bytes_per_second"] > 0, stream)
    expect("streams" not in json.loads(w.steppe("investigator", "status", "--json").stdout), "streams that nobody asked for")
    text = w.steppe("admin", "status", "--streams").stdout
    for words in ("node1", "health", "ok", "cam-000/main", "cam-002/main", "recording", "KEPT UNTIL", "data", "3 open"):
        expect(words in text, f"'{words}' is not in the text: {text}")
    expect(w.steppe("nobody", "status", role="recorder").stdout, "any role may ask")
    expect(ledger.child.stop() == 0, ledger.child.text()[-1000:])
    wait_for(lambda: not any(s["recording"] for s in json.loads(w.steppe("admin", "status", "--streams", "--json").stdout)["streams"]),
             "nothing records any more")
    daemon.stops()
    expect("is storaged running" in w.steppe("admin", "status", code=6).stderr, "no advice when nobody answers")


def sub_commands(w):
    """All of them, as `steppe --help` tells them."""
    text = command(w.program, "--help").stdout
    reference = command(w.program, "help", "--markdown").stdout
    names = re.findall(r"^## steppe (.+)$", reference, re.M)
    expect(len(names) > 15 and all(name.split()[0] in text for name in names), f"--help and the reference name others: {names}")
    return names


def test_help_and_man_pages(w):
    storaged = w.build / "storaged" / "storaged"
    for name in sub_commands(w):
        run = command(w.program, *name.split(), "--help")
        expect(f"steppe {name}" in run.stdout and "--help" in run.stdout and not run.stderr, f"{name}: {run.stdout}{run.stderr}")
        wide = [line for line in run.stdout.splitlines() if len(line) > 100 and " " in line.strip() and "  steppe " not in line]
        expect(not wide, f"{name}: lines that a terminal breaks: {wide}")
        run = command(w.program, *name.split(), "--no-such-option", code=2)
        expect("no-such-option" in run.stderr and not run.stdout, f"{name}: {run.stderr}")
    expect("--config" in command(storaged, "--help").stdout, "storaged has no help")
    command(storaged, "--no-such-option", code=2)
    names = sub_commands(w)
    for page in sorted({name.split()[0] for name in names} | {"steppe"}):
        path = w.work / f"{page}.1"
        path.write_text(command(w.program, "help", "--man", page).stdout)
        check_page(path, page, ("NAME", "SYNOPSIS", "OPTIONS") if page in names and page not in ("version", "help") else ("NAME",))
    check_page(TOP / "storaged" / "storaged.8", "storaged", ("NAME", "SYNOPSIS"))


def check_page(path, word, sections):
    """groff and mandoc have nothing to say against it, and what comes out can be read."""
    run = command("groff", "-man", "-ww", "-Wbreak", "-Tutf8", "-Kutf8", "-P-cbou", path)
    expect(not run.stderr, f"{path.name}: {run.stderr[:500]}")
    missing = [section for section in sections if section not in run.stdout]
    expect(not missing, f"{path.name}: no {missing}")
    expect(word in run.stdout and len(run.stdout.splitlines()) > 15, f"{path.name}: {run.stdout[:500]}")


def test_completion_in_bash(w):
    """As bash does it: words, cursor, what is offered."""
    w.daemon()
    w.cameras("gate-1", "gate-2", "north")
    script = w.work / "steppe.bash"
    script.write_text(command(w.program, "help", "--bash-completion").stdout)
    command("bash", "-n", script)
    config = w.config("admin")

    def offered(*words):
        """What bash offers for the last word."""
        run = command("bash", "--norc", "-c", 'compopt() { :; }; . "$1"; shift; COMP_WORDS=(steppe "$@"); COMP_CWORD=$#; '
                      'COMP_LINE="${COMP_WORDS[*]}"; COMP_POINT=${#COMP_LINE}; _steppe; printf "%s\\n" "${COMPREPLY[@]}"', "bash", script,
                      *words, env={"PATH": f"{w.program.parent}:/usr/bin:/bin", "STEPPE_CONFIG": str(config), "HOME": str(w.work)})
        expect(not run.stderr, f"{words}: {run.stderr}")
        return set(run.stdout.split())

    names = sub_commands(w)
    expect({name.split()[0] for name in names} == offered(""), f"not all commands: {offered('')}")
    expect(offered("ex") == {"export"}, offered("ex"))
    for group in ("camera", "pki", "bench"):
        expect(offered(group, "") == {name.split()[1] for name in names if name.startswith(group + " ")}, f"{group}: {offered(group, '')}")
    reference = command(w.program, "help", "--markdown").stdout
    for section in reference.split("\n## steppe ")[1:]:
        name = section.split("\n")[0].split()
        options = set(re.findall(r"^\|.*?`(--[a-z-]+)", section, re.M))
        expect(options <= offered(*name, "--"), f"{name}: {options - offered(*name, '--')} is not offered")
    expect(offered("export", "x", "--gaps", "") == {"keep", "close"}, offered("export", "x", "--gaps", ""))
    expect(offered("record", "x", "y", "--transport", "t") == {"tcp"}, "a choice")
    expect("now" in offered("timeline", "x", "--from", ""), "times")
    # the cluster has a second to answer
    wait_for(lambda: offered("timeline", "gate") == {"gate-1", "gate-2"}, lambda: f"cameras: {offered('timeline', 'gate')}")
    expect(script.name in {path.rsplit("/", 1)[-1] for path in offered("record", "x", f"{w.work}/steppe.b")}, "files")


def test_json_of_each_command_that_prints_data(w):
    w.daemon()
    w.cameras("gate")
    start = yesterday_at(9 * 3600)
    w.record("gate", H264, start)
    window = ("--from", f"@{start}", "--to", f"@{start + 5 * SECOND}")
    command(w.program, "export", "gate", *window, "-o", w.work / "x.mp4", "--config", w.config("investigator"))
    for who, act in (("investigator", ("timeline", "gate")), ("investigator", ("timeline", "gate", *window)),
                     ("investigator", ("fetch", "gate", *window)), ("admin", ("camera", "list")), ("admin", ("camera", "show", "gate")),
                     ("admin", ("status",)), ("admin", ("fsck", "gate"))):
        for line in w.steppe(who, *act, "--json").stdout.splitlines():
            json.loads(line)
    for act in (("verify", w.work / "x.mp4"), ("pki", "list", w.pki), ("version",)):
        json.loads(command(w.program, *act, "--json").stdout)
