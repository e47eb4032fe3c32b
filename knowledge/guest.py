"""The program inside a sandbox: holds one architecture and answers the host, a line of JSON for each line.

Runs beside the module `architecture.py`, in the same process: that module may rewrite all of this and gains nothing,
for the host believes only what it can apply to a bank of its own. Needs the standard library and numpy.
"""

import ctypes
import importlib
import json
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from knowledge import wire
from knowledge.architecture import IMPORTS, JSON, DesignError, Op, Record, Worth
from knowledge.design import Design, built
from knowledge.replica import Replica, WorthOf
from knowledge.trial import Trial

MODULE = "architecture"
LATE = (
    "_strptime",
    "numpy.fft",
    "numpy.linalg",
    "numpy.polynomial",
    "numpy.random",
    "numpy.typing",
    "snowballstemmer.english_stemmer",
    "unicodedata",
)
"""What the modules that may be imported load only when they are used."""


class Guest:
    def __init__(self, source: str) -> None:
        self._source = source
        self._trial: Trial | None = None

    def answer(self, message: Mapping[str, Any]) -> JSON:
        """Raises DesignError."""
        match message:
            case {"begin": {"params": params, "seed": seed, "worth": worth}}:
                architecture = built(Design(MODULE, self._source, params))
                self._trial = Trial(architecture, Replica(worth=_valued(worth)), seed=seed)
                return {}
            case {"event": told, **rest}:
                return self._event(told, rest.get("ops"))
            case {"tick": now, **rest}:
                return self._tick(now, rest)
            case {"trigger": told}:
                given = wire.trigger_in(told)
                assert given.receipt is not None
                return _told(self.trial.feedback(given.receipt, given.reward or 0.0))
            case {"query": told}:
                return wire.retrieval_out(self.trial.retrieve(wire.query_in(told)))
            case _:
                raise ValueError(f"{message!r:.80} is no message")

    @property
    def trial(self) -> Trial:
        if self._trial is None:
            raise ValueError("nothing has begun")
        return self._trial

    def _event(self, told: JSON, kept: Sequence[JSON] | None) -> JSON:
        """`kept`: what was done with it before; the bank is brought to that, and the architecture not asked."""
        event = wire.event_in(told)
        if kept is None:
            return _told(self.trial.ingest(event))
        self.trial.bank.tell(event)
        return self._again(kept, event.time)

    def _tick(self, now: float, rest: Mapping[str, Any]) -> JSON:
        if "ops" in rest:
            return self._again(rest["ops"], now)
        return _told(self.trial.tick(now, close=bool(rest.get("close"))))

    def _again(self, kept: Sequence[JSON], now: float) -> JSON:
        self.trial.bank.apply([wire.op_in(op) for op in kept], method="store", now=now)
        return {}


def _valued(told: Mapping[str, Any]) -> WorthOf:
    known = {name: Worth(*numbers) for name, numbers in told.get("of", {}).items()}

    def worth(record: Record, stage: str) -> Worth:
        return known.get(record.id, Worth()) if stage == told.get("stage") else Worth()

    return worth


def _told(operations: Sequence[Op]) -> JSON:
    return {"ops": [wire.op_out(op) for op in operations]}


def main(library: str) -> None:
    """`library`: what keeps an interpreter from files, sockets and processes (confine.c); empty for nothing."""
    listening, answering = _private_channel()
    source = (Path(__file__).parents[1] / f"{MODULE}.py").read_text()
    for name in sorted(IMPORTS | set(LATE)):
        importlib.import_module(name)
    _confine(library)
    _say(answering, {})
    guest = Guest(source)
    for line in listening:
        try:
            told = _encoded(guest.answer(json.loads(line)))
        except DesignError as fault:
            _say(answering, {"error": fault.reason + _where(fault, source), "method": fault.method})
            return
        os.write(answering, told)


def _private_channel() -> tuple[BinaryIO, int]:
    """Move the host's pipes off 0 and 1: what a module prints goes to stderr."""
    listening, answering = os.fdopen(os.dup(0), "rb"), os.dup(1)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return listening, answering


def _confine(library: str) -> None:
    if library:
        loaded = ctypes.CDLL(library)
        if loaded.confine_interpreter() or loaded.close_interpreter():
            sys.exit("the system call filter cannot be set up here")


def _encoded(answer: JSON) -> bytes:
    try:
        return json.dumps(answer, allow_nan=False, default=_number).encode() + b"\n"
    except (TypeError, ValueError) as fault:
        raise DesignError("retrieve", f"an answer is no JSON: {fault}") from fault


def _number(value: Any) -> JSON:
    """Numbers of numpy as those of Python."""
    if hasattr(value, "item"):
        plain: JSON = value.item()
        return plain
    raise TypeError(f"{value!r:.80} is no JSON")


def _say(answering: int, answer: JSON) -> None:
    os.write(answering, _encoded(answer))


def _where(fault: DesignError, source: str) -> str:
    """The line of the module that raised, where one did."""
    cause = fault.__cause__
    steps = traceback.extract_tb(cause.__traceback__) if cause else []
    own = [step.lineno for step in steps if step.filename == f"{MODULE}.py" and step.lineno]
    lines = source.splitlines()
    return f" ({MODULE}.py, line {own[-1]}: {lines[own[-1] - 1].strip()})" if own and own[-1] <= len(lines) else ""
