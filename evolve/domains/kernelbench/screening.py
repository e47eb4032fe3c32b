"""Screens problems in a process of its own, once: findings are kept beside the runs, by the text they are about."""

import hashlib
import importlib.util
import json
import logging
import os
import select
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from evolve.domains.kernelbench.findings import Finding
from evolve.domains.kernelbench.problems import Problem, missing
from evolve.errors import UsageError
from evolve.home import home

log = logging.getLogger(__name__)

SECONDS = 240.0
"""For one problem."""
HERE = Path(__file__).parent
ABOUT = ("screen.py", "task.py", "distributions.py", "../kernels/numerics.py")
"""Whatever else a finding rests on."""


def screen(problems: Sequence[Problem], *, shrink: bool) -> dict[str, Finding]:
    """By id. Raises UsageError without torch."""
    if importlib.util.find_spec("torch") is None:
        raise UsageError("problems in KernelBench's format need torch: pip install 'evolve-foundry[torch]'")
    kept = {problem.id: _place(problem, shrink=shrink) for problem in problems}
    found = {name: finding for name, place in kept.items() if (finding := _read(place))}
    for problem in problems:
        reason = missing(problem.text)
        if reason:
            found[problem.id] = Finding(refused=reason)
    left = [problem for problem in problems if problem.id not in found]
    if left:
        log.warning("looking at %d problem(s), once; some seconds each", len(left))
    while left:
        for problem, finding in zip(left, _together(left, shrink=shrink), strict=False):
            found[problem.id] = finding
            _write(kept[problem.id], finding)
        left = [problem for problem in left if problem.id not in found]
    return {problem.id: found[problem.id] for problem in problems}


def _together(problems: Sequence[Problem], *, shrink: bool) -> list[Finding]:
    """The findings of one process, up to the problem that ends it or takes too long; at least one."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    argv = [sys.executable, "-m", "evolve.domains.kernelbench.screen"]
    found: list[Finding] = []
    with subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **threads},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for problem in problems:
            try:
                process.stdin.write(json.dumps({"text": problem.text, "shrink": shrink}) + "\n")
                process.stdin.flush()
            except BrokenPipeError:
                break
            ready, _, _ = select.select([process.stdout], [], [], SECONDS)
            line = process.stdout.readline() if ready else ""
            if not line:
                why = "its own code ends the process" if ready else f"looking at it takes longer than {SECONDS:.0f} s"
                found.append(Finding(refused=why))
                break
            found.append(Finding.model_validate_json(line))
        process.kill()
    return found


def _place(problem: Problem, *, shrink: bool) -> Path:
    texts = [problem.text, str(shrink), *((HERE / name).read_text() for name in ABOUT)]
    key = hashlib.sha256("\0".join(texts).encode()).hexdigest()[:24]
    return home() / "kernelbench" / f"{key}.json"


def _read(place: Path) -> Finding | None:
    try:
        return Finding.model_validate_json(place.read_text())
    except (OSError, ValidationError):
        return None


def _write(place: Path, finding: Finding) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_suffix(f".{os.getpid()}")
    partial.write_text(finding.model_dump_json() + "\n")
    partial.replace(place)
