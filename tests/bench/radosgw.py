# SPDX-License-Identifier: Apache-2.0
"""A radosgw with TLS beside a cluster of tests/lib/ceph, and readers of it that cost little: curl."""
import base64
import email.utils
import hashlib
import hmac
import http.client
import os
import pathlib
import ssl
import subprocess
import time
import urllib.parse

from benchlib import TOP, cpu_of

BUCKET, BLOCK = "bench", 4 << 20


class Radosgw:
    def __init__(self, ceph):
        start = subprocess.run([TOP / "tests" / "lib" / "ceph", "rgw-start", ceph.dir], check=True, capture_output=True, text=True)
        self.url, self.certificate = start.stdout.strip(), ceph.dir / "rgw.crt"
        self.pid = int((ceph.dir / "run" / "rgw.pid").read_text())

    def cpu(self):
        return cpu_of(self.pid)

    def put(self, paths_and_bodies):
        """Signed requests (version 2) on one connection; what is put can be read by anyone."""
        where = urllib.parse.urlparse(self.url)
        connection = http.client.HTTPSConnection(where.hostname, where.port, timeout=120,
                                                 context=ssl.create_default_context(cafile=self.certificate))
        for path, body in paths_and_bodies:
            date = email.utils.formatdate(usegmt=True)
            words = f"PUT\n\n\n{date}\nx-amz-acl:public-read\n{path}".encode()
            signature = base64.b64encode(hmac.new(b"bench", words, hashlib.sha1).digest()).decode()
            connection.request("PUT", path, body, {"Date": date, "x-amz-acl": "public-read", "Authorization": f"AWS bench:{signature}"})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise SystemExit(f"radosgw answers {answer.status} to PUT {path}: {text[:300]}")
        connection.close()

    def fill(self, count):
        """So many objects of 4 MiB of noise."""
        noise = os.urandom(BLOCK + count)
        self.put([(f"/{BUCKET}", b"")] + [(f"/{BUCKET}/{i}", noise[i:i + BLOCK]) for i in range(count)])

    def get(self, count, readers):
        """All of them, several at a time over connections that are kept: MB/s and MB."""
        began = time.monotonic()
        processes = []
        for reader in range(readers):
            urls = [f"{self.url}/{BUCKET}/{i}" for i in range(reader, count, readers)]
            targets = [word for url in urls for word in ("-o", "/dev/null", url)]
            processes.append(subprocess.Popen(["curl", "-sSf", "--tlsv1.3", "--cacert", self.certificate, *targets]))
        codes = [process.wait() for process in processes]
        if any(codes):
            raise SystemExit(f"curl ended with {codes}")
        megabytes = count * BLOCK / 1e6
        return megabytes / (time.monotonic() - began), megabytes


def installed():
    return any((pathlib.Path(folder) / "radosgw").exists() for folder in ("/usr/bin", "/usr/local/bin"))
