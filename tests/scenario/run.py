#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the scenarios (functions `test_*` of the modules `s_*.py` here) on one kind of store: a line each, "ok" or "FAILED".

Most of a scenario's time is waiting for footage that is shown in real time, so several run side by side. One with the attribute
`alone` (it takes an OSD away from all) runs by itself, after the others; one with the attribute `store` on that kind of store."""
import argparse
import concurrent.futures
import importlib
import pathlib
import shutil
import sys
import threading
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

import world as w  # noqa: E402

printing = threading.Lock()


def scenarios(names, store):
    for path in sorted(HERE.glob("s_*.py")):
        module = importlib.import_module(path.stem)
        for name, function in list(vars(module).items()):
            if not name.startswith("test_") or getattr(function, "store", store) != store:
                continue
            label = f"{path.stem[2:]}.{name[5:]}"
            if not names or any(label.startswith(n) for n in names):
                yield label, function


def play(label, function, arguments):
    """(ok, words): what there is to say of a scenario, if anything."""
    world = None
    try:
        world = w.World(label, arguments.build.resolve(), arguments.store, arguments.work.resolve(), arguments.ceph)
        function(world)
        world.close()
    except w.Skipped as reason:
        return True, f"(not here: {reason})"
    except Exception as error:  # a scenario may fail in any way; the others go on
        words = str(error) if isinstance(error, w.Failure) else traceback.format_exc()
        return False, f"{words}\n(what is left of it: {arguments.work}/{label})"
    finally:
        if world:
            world.end()
    shutil.rmtree(world.work, ignore_errors=True)
    return True, world.words


def run(label, function, arguments):
    began = time.monotonic()
    ok, words = play(label, function, arguments)
    with printing:
        print(f"{'ok     ' if ok else 'FAILED '} {arguments.store}: {label}  {time.monotonic() - began:.1f} s", flush=True)
        if words:
            print("        " + words.replace("\n", "\n        "), flush=True)
    return ok


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--store", choices=["local", "ceph"], default="local")
    parser.add_argument("--ceph", help="folder of a running tests/lib/ceph")
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--jobs", type=int, default=4, help="how many side by side (4)")
    parser.add_argument("--list", action="store_true", help="print their names")
    parser.add_argument("names", nargs="*", help="beginnings of the names of those wanted")
    arguments = parser.parse_args()
    chosen = list(scenarios(arguments.names, arguments.store))
    if arguments.list:
        print("\n".join(label for label, _ in chosen))
        return 0
    together = [one for one in chosen if not getattr(one[1], "alone", False)]
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        results = list(pool.map(lambda one: run(*one, arguments), together))
    results += [run(*one, arguments) for one in chosen if one not in together]
    return 0 if results and all(results) else 1


sys.exit(main())
