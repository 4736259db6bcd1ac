#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the scenarios (functions `test_*` of the modules `s_*.py` here) on one kind of store: a line each, "ok" or "FAILED"."""
import argparse
import importlib
import pathlib
import shutil
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

import world as w  # noqa: E402


def scenarios(names):
    for module in sorted(HERE.glob("s_*.py")):
        loaded = importlib.import_module(module.stem)
        for name, function in list(vars(loaded).items()):
            if name.startswith("test_") and callable(function):
                label = f"{module.stem[2:]}.{name[5:]}"
                if not names or any(label.startswith(n) for n in names):
                    yield label, function


def run(label, function, arguments):
    began = time.monotonic()
    world = None
    try:
        world = w.World(label, arguments.build.resolve(), arguments.store, arguments.work.resolve(), arguments.ceph)
        function(world)
        ok = True
    except Exception as error:  # a scenario may fail in any way; the others go on
        ok = False
        words = str(error) if isinstance(error, w.Failure) else traceback.format_exc()
    finally:
        if world:
            world.close()
    seconds = time.monotonic() - began
    print(f"{'ok     ' if ok else 'FAILED '} {arguments.store}: {label}  {seconds:.1f} s", flush=True)
    if ok:
        shutil.rmtree(world.work, ignore_errors=True)
    else:
        print("        " + words.replace("\n", "\n        "), flush=True)
        if world:
            print(f"        (what is left of it: {world.work})", flush=True)
    return ok


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--store", choices=["local", "ceph"], default="local")
    parser.add_argument("--ceph", help="folder of a running tests/lib/ceph")
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("names", nargs="*", help="beginnings of the names of those wanted")
    arguments = parser.parse_args()
    good = True
    for label, function in scenarios(arguments.names):
        only = getattr(function, "store", None)
        if only and only != arguments.store:
            continue
        good = run(label, function, arguments) and good
    return 0 if good else 1


sys.exit(main())
