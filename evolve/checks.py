"""What a run needs from the machine, each thing checked and said in one sentence."""

import os
import shutil
from collections.abc import Iterator
from typing import NamedTuple

from evolve.errors import EvolveError
from evolve.home import home
from evolve.keys import default_keys, load_keys

LEAST_GB = 1.0


class Check(NamedTuple):
    name: str
    ok: bool
    needed: bool
    """Nothing runs without it."""
    text: str


def doctor() -> list[Check]:
    """Never raises for what it finds; a broken part is a check that failed."""
    from sandboxes import doctor as sandbox_checks

    sandboxes = [Check(name, ok, needed=False, text=text) for name, ok, text in sandbox_checks()]
    any_sandbox = any(check.ok for check in sandboxes if check.name in {"docker", "gcc"})
    some = Check("a sandbox", any_sandbox, needed=True, text="docker, or gcc for the process sandbox")
    return [_folder(), _disk(), *sandboxes, some, _knowledge_base(), *_domains(), _keys()]


def _folder() -> Check:
    place = home()
    try:
        place.mkdir(parents=True, exist_ok=True)
        ok = os.access(place, os.W_OK)
    except OSError as error:
        return Check(
            "home", ok=False, needed=True, text=f"{place}: {error.strerror}; set EVOLVE_HOME to another folder"
        )
    return Check("home", ok, needed=True, text=f"{place}" if ok else f"{place} is not writable; set EVOLVE_HOME")


def _disk() -> Check:
    place = home()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free / 1e9
    return Check("disk", free >= LEAST_GB, needed=True, text=f"{free:.1f} GB free, {LEAST_GB:g} GB wanted")


def _knowledge_base() -> Check:
    from evolve.config import open_kb

    try:
        with open_kb(None) as memory:
            found = memory.stats()
    except EvolveError as error:
        return Check("knowledge base", ok=False, needed=True, text=str(error))
    return Check(
        "knowledge base", ok=True, needed=True, text=f"{found.folder}: {sum(found.experiences.values())} items"
    )


def _domains() -> Iterator[Check]:
    """Those that work in one line, then each that does not load, or misses something here, in one of its own."""
    from evolve.plugins import Broken, in_one_line, load_domains

    try:
        domains = load_domains()
    except EvolveError as error:
        yield Check("domains", ok=False, needed=True, text=str(error))
        return
    sound = {name: len(domain.tasks()) for name, domain in domains.items() if not isinstance(domain, Broken)}
    counted = ", ".join(f"{name} ({count})" for name, count in sound.items())
    yield Check("domains", ok=bool(sound), needed=True, text=f"with their tasks: {counted or 'none'}")
    for name, domain in domains.items():
        try:
            missing = domain.missing()
        except Exception as error:  # noqa: BLE001 - the boundary to a plugin
            missing = in_one_line(error)
        if missing:
            yield Check(f"domain {name}", ok=False, needed=False, text=missing)


def _keys() -> Check:
    if (file := default_keys()) is not None:
        try:
            load_keys(file)
        except EvolveError as error:
            return Check("model keys", ok=False, needed=False, text=str(error))
    names = sorted(name for name in os.environ if name.endswith("_API_KEY"))
    text = (
        f"set: {', '.join(names)}"
        if names
        else "no *_API_KEY is set, here or in keys.env; `--model offline` needs none"
    )
    return Check("model keys", bool(names), needed=False, text=text)
