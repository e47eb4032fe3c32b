"""Keeps an evaluator, and the Python processes that it starts, apart from the program that they load.

Modules made from the program's file become proxies (proxy.py); a Python script that is the program runs as the
candidate. What lies below is watched (watch.py).
"""

import ctypes
import importlib.machinery
import json
import os
import signal
import socket
import sys
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from . import giving_up, openevolve, proxy
from .watch import Place, Watched

PR_SET_DUMPABLE = 4
SITE = """import os, sys, traceback
sys.path.append({referee!r})
try:
    from referee.apart import begin_child
    begin_child({place!r})
except BaseException:
    traceback.print_exc()
    os._exit(70)
sys.path.remove({referee!r})
"""
LAUNCHER = """#!/bin/sh
# Python as the evaluator's children get it. It always loads sitecustomize.py, which watches what they load: options
# that would keep it from that (-I, -E, -S) are left out.
options=yes
for word in "$@"; do
    shift
    case "$options$word" in
    yes-c | yes-m | yes-) options= ;;
    yes-W | yes-X) options=value ;;
    yes-W* | yes-X* | yes--*) ;;
    yes-*) word=$(printf %s "$word" | tr -d IES) && [ "$word" != - ] || continue ;;
    value*) options=yes ;;
    *) options= ;;
    esac
    set -- "$@" "$word"
done
PYTHONPATH={boot}${{PYTHONPATH:+:$PYTHONPATH}} exec {python} "$@"
"""


def prepare(place: Place) -> None:
    """Lay out what the evaluator's children start with."""
    boot, programs = Path(place.boot), Path(place.bin)
    boot.mkdir()
    programs.mkdir()
    referee = str(Path(__file__).parents[1])
    (boot / "sitecustomize.py").write_text(SITE.format(referee=referee, place=json.dumps(place)))
    (boot / "path.json").write_text(json.dumps([path for path in sys.path if path != referee]))
    for name in ("python3", "python", "python" + ".".join(map(str, sys.version_info[:2]))):
        launcher = programs / name
        launcher.write_text(LAUNCHER.format(boot=boot, python=sys.executable))
        launcher.chmod(0o700)


def begin(place: Place) -> None:
    """In the evaluator's process; there is no way back."""
    paths = [place.boot, *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ.update(PYTHONPATH=":".join(paths), PYTHONHASHSEED="0")
    os.environ["PATH"] = f"{place.bin}:{os.environ.get('PATH', '/usr/bin:/bin')}"
    _install(place)


def begin_child(told: str) -> None:
    """In a Python process that the evaluator started, before anything of its own runs."""
    place = Place(*json.loads(told))
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    known = json.loads((Path(place.boot) / "path.json").read_text())
    sys.path += [path for path in known if path not in sys.path]
    words = sys.orig_argv[1:]
    while words and words[0].startswith("-") and words[0] not in {"-c", "-m", "-"}:
        del words[0]
    watched = _install(place)
    if words and watched.is_program(words[0]):
        _run_as_candidate(place, words[1:])


def _install(place: Place) -> Watched:
    watched = Watched(place)
    openevolve.offer()
    sys.executable = f"{place.bin}/python3"
    _replace_loader(watched)
    giving_up.install()
    sys.addaudithook(watched.audit)
    return watched


def _run_as_candidate(place: Place, arguments: list[str]) -> NoReturn:
    """With this process's own streams; ends as that process ends."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as control:
        control.connect(place.broker)
        socket.send_fds(control, [json.dumps({"do": "script", "arguments": arguments}).encode()], [0, 1, 2])
        said = control.recv(65536)
        end = json.loads(control.recv(65536) or b"{}") if said else {}
    if end.get("signal"):
        signal.signal(signal.Signals[end["signal"]], signal.SIG_DFL)
        os.kill(os.getpid(), signal.Signals[end["signal"]])
    os._exit(end.get("exit_code", 70))


# ---- loading


def _replace_loader(watched: Watched) -> None:
    """Whichever way a module is loaded from a file of Python source, this class does it."""
    create, execute = SourceFileLoader.create_module, SourceFileLoader.exec_module

    def create_module(loader: SourceFileLoader, spec: ModuleSpec) -> ModuleType | None:
        return proxy.Program(spec.name) if watched.is_program(loader.path) else create(loader, spec)

    def exec_module(loader: SourceFileLoader, module: ModuleType) -> None:
        if not watched.is_program(loader.path):
            execute(loader, module)
        elif isinstance(module, proxy.Program):
            proxy.load(module, watched.place.broker)
        else:
            watched.refuse(f"runs the program in the module {module.__name__}, which it made itself")

    importlib.machinery.SourceFileLoader.create_module = create_module  # type: ignore[assignment,method-assign]
    importlib.machinery.SourceFileLoader.exec_module = exec_module  # type: ignore[assignment,method-assign]
