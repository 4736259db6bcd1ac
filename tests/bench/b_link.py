# SPDX-License-Identifier: Apache-2.0
"""The link alone: TLS and frames against bare OpenSSL (bench_tls), and what connections cost (bench_links)."""
from benchlib import run_text

STORES = ("local",)


def run(bench):
    print(run_text(bench.program("bench_tls"), *((8, 1) if bench.args.smoke else (256, 9))), end="")
    print(run_text(bench.program("bench_links"), *((20,) if bench.args.smoke else ())), end="")
