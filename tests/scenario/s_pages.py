# SPDX-License-Identifier: Apache-2.0
"""What the pages tell people to type, typed: docs/operate/certificates.md, and the example of the library against the installed one."""
import hashlib
import json
import os
import re
import shutil
import signal

from world import H264, H265, SECOND, TOP, command, expect, now_us, only_on, rfc3339, wait_for, yesterday_at


def blocks(page):
    """The shell blocks of a page by the heading they stand under."""
    found, heading = {}, ""
    for part in re.split(r"(^## [^\n]*$|^```$.*?^```$)", page.read_text(), flags=re.M | re.S):
        if part.startswith("## "):
            heading = part[3:].strip()
        elif part.startswith("```"):
            found[heading] = part[4:-4]
    return found


def typed(w, text, folder):
    """As a person's shell runs it, in that folder, ending at the first thing that does not work."""
    return command("bash", "-e", "-o", "pipefail", "-c", text, cwd=folder, env={**os.environ, "PATH": f"{w.program.parent}:{os.environ['PATH']}"})


def handed_out(pki, folder, names):
    """Only these files of the authority, as they are handed out."""
    folder.mkdir(exist_ok=True)
    for name in names:
        shutil.copy(pki / name, folder / name)
    return folder


NODE = ("ca.crt", "node1.crt", "node1.key", "crl.pem")


def test_certificates_as_the_page_says(w):
    page = blocks(TOP / "docs" / "operate" / "certificates.md")
    expect({"Begin", "Renew", "Revoke", "An authority of your own"} <= page.keys(), f"other headings: {list(page)}")
    folder = w.work / "page"
    folder.mkdir()
    pki = folder / "pki"
    typed(w, page["Begin"], folder)
    for name in ("ca.key", "ca.crt", "gate-recorder.crt", "gate-recorder.key", "chen.crt", "serials.txt", *NODE):
        expect((pki / name).is_file(), f"no {name}")
    expect((pki / "ca.key").stat().st_mode & 0o077 == 0, "ca.key can be read by others")
    expect("store-1.example:7600" in (folder / "admin.yaml").read_text(), "the configuration names another daemon")
    etc = handed_out(pki, w.work / "etc", NODE)
    daemon = w.daemon(tls__dir=etc)

    def config(name):
        """The admin's configuration of the page, for somebody else and for the daemon that runs here."""
        text = (folder / "admin.yaml").read_text().replace("store-1.example:7600", daemon.address).replace("root.", f"{name}.")
        path = w.work / f"{name}.yaml"
        path.write_text(text + f'spool:\n  dir: "{w.work}/spool-{name}"\n')
        return path

    def hang_up():
        mark = daemon.mark()
        daemon.signal(signal.SIGHUP)
        daemon.waits_until_said("certificates read again", mark)

    start = yesterday_at(3 * 3600)
    record = (w.program, "record", "gate", H265, "--start", rfc3339(start), "--pace", "fast", "--config", config("gate-recorder"))
    command(w.program, "camera", "add", "gate", "--config", config("root"))
    command(*record)
    command(w.program, "timeline", "gate", "--from", f"@{start}", "--config", config("chen"))
    before = (pki / "node1.crt").read_bytes()
    typed(w, page["Renew"], folder)
    expect((pki / "node1.crt").read_bytes() != before, "nothing was renewed")
    typed(w, "openssl x509 -enddate -noout -in pki/node1.crt", folder)
    handed_out(pki, etc, ["node1.crt"])
    hang_up()
    command(w.program, "camera", "list", "--config", config("root"))
    typed(w, page["Revoke"], folder)
    handed_out(pki, etc, ["crl.pem"])
    hang_up()
    command(*record, code=None)
    wait_for(lambda: daemon.lines("connection refused", "revoked"), "the revoked one is refused")
    # if something is lost: crl.pem is written again
    lost = (pki / "crl.pem").read_bytes()
    (pki / "crl.pem").unlink()
    typed(w, "steppe pki revoke pki gate-recorder", folder)
    expect((pki / "crl.pem").exists() and lost, "it is not written again")
    # and may be issued again
    typed(w, "steppe pki issue pki gate-recorder --role recorder", folder)
    handed_out(pki, etc, ["crl.pem"])
    hang_up()
    command(w.program, "record", "gate", H265, "--start", rfc3339(start + 600 * SECOND), "--pace", "fast", "--config", config("gate-recorder"))


def test_an_authority_of_ones_own(w):
    page = blocks(TOP / "docs" / "operate" / "certificates.md")
    folder = w.work / "own"
    folder.mkdir()
    command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
            "/CN=county", "-keyout", folder / "ca.key", "-out", folder / "ca.crt")
    text = page["An authority of your own"]
    typed(w, text, folder)
    for role in ("recorder", "investigator", "admin"):
        typed(w, text.replace("role:node", f"role:{role}").replace("node1", role), folder)
    daemon = w.daemon(tls__dir="", tls__ca=folder / "ca.crt", tls__cert=folder / "node1.crt", tls__key=folder / "node1.key")
    for role in ("recorder", "investigator", "admin"):
        (w.work / f"{role}.yaml").write_text(f'cluster: ["{daemon.address}"]\ntls: {{ca: "{folder}/ca.crt", cert: "{folder}/{role}.crt", '
                                             f'key: "{folder}/{role}.key"}}\nspool:\n  dir: "{w.work}/spool-{role}"\n')
    w.cameras("gate")
    start = yesterday_at(3 * 3600)
    w.record("gate", H264, start)
    w.check_window("gate", H264, start, 0, 10_000)


@only_on("local")
def test_the_example_records_with_the_installed_library(w):
    """docs/examples/record.c, built as its first lines say against what `meson install` installs: what it recorded is there."""
    root = w.work / "root"
    command("meson", "install", "-C", w.build, "--no-rebuild", env={**os.environ, "DESTDIR": str(root)})
    library = next(root.rglob("libsteppe.so"))
    config = next(root.rglob("steppe.pc"))
    environment = {**os.environ, "PKG_CONFIG_PATH": str(config.parent), "PKG_CONFIG_SYSROOT_DIR": str(root), "LD_LIBRARY_PATH": str(library.parent)}
    source = (TOP / "docs" / "examples" / "record.c").read_text()
    build = re.search(r"Build: (cc .*\))", source)[1]
    shutil.copy(TOP / "docs" / "examples" / "record.c", w.work / "record.c")
    command("sh", "-c", f"{build} -o record", cwd=w.work, env=environment)
    w.daemon()
    w.cameras("desk")
    w.config("recorder")
    command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=640x480:rate=10", "-frames:v", 25, "-c:v", "mjpeg",
            w.work / "picture-%02d.jpg")
    pictures = sorted(w.work.glob("picture-*.jpg"))
    began = now_us()
    run = command(w.work / "record", w.addresses(), w.pki / "ca.crt", w.pki / "recorder.crt", w.pki / "recorder.key", "desk", *pictures,
                  env=environment)
    kept = re.findall(r"kept (\d+) of (\d+) fragments", run.stdout)
    expect(kept and kept[-1][0] == kept[-1][1] != "0", f"not all is kept: {run.stdout}{run.stderr}")
    window = ("--from", f"@{began - SECOND}", "--to", f"@{now_us() + 10 * SECOND}")
    rows = [json.loads(line) for line in w.steppe("investigator", "fetch", "desk", *window, "--json").stdout.splitlines()]
    expect(len(rows) == int(kept[-1][0]) and sum(row["bytes"] for row in rows) > sum(p.stat().st_size for p in pictures), rows)
    film = w.work / "desk.mp4"
    w.steppe("investigator", "fetch", "desk", *window, "-o", film)
    run = command("ffmpeg", "-v", "error", "-i", film, "-c", "copy", "-f", "framemd5", "-")
    got = [line.split(",")[5].strip() for line in run.stdout.splitlines() if not line.startswith("#")]
    expect(got == [hashlib.md5(p.read_bytes()).hexdigest() for p in pictures], f"{len(got)} pictures, not the {len(pictures)} that were given")
