"""Judges what nobody vouches for: first its text is looked at, then it works in a sandbox."""

import ast
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from evolve.domains.memory.confined import LIMITS, SILENCES, sit_confined
from evolve.domains.memory.exam import Exam
from evolve.domains.memory.gates import consistent, contract
from evolve.domains.memory.grading import Grades, grade
from evolve.domains.memory.lint import violations
from evolve.meta.evaluating import Judge
from evolve.types import Limits, Sandbox
from knowledge.architecture import DesignError
from knowledge.design import Design

NESTED = 150
"""Levels of syntax; what is deeper cannot be written out again as part of a child."""

A = TypeVar("A")


def confined_judge(box: Sandbox, *, limits: Limits = LIMITS) -> Judge:
    """For modules that have passed the gates."""

    def judge(design: Design, exams: Sequence[Exam]) -> list[Grades]:
        _read(design, exams)
        sittings = [_patiently(partial(sit_confined, design, [exam], box, limits=limits))[0] for exam in exams]
        return [grade(exam, sitting) for exam, sitting in zip(exams, sittings, strict=True)]

    return judge


def gated_judge(box: Sandbox, *, limits: Limits = LIMITS) -> Judge:
    """Keeps to the protocol on odd events, grows within bounds, answers the same again and after a restart."""

    def judge(design: Design, exams: Sequence[Exam]) -> list[Grades]:
        _read(design, exams)
        _patiently(partial(contract, design, box, limits=limits))
        sittings = [_patiently(partial(consistent, design, exam, box, limits=limits)) for exam in exams]
        return [grade(exam, sitting) for exam, sitting in zip(exams, sittings, strict=True)]

    return judge


def _read(design: Design, exams: Sequence[Exam]) -> None:
    if found := violations(design, exams):
        raise DesignError("import", found[0])
    if _depth(ast.parse(design.source)) > NESTED:
        raise DesignError("import", f"the module is nested more than {NESTED} levels deep")


def _depth(tree: ast.AST) -> int:
    depth, level = 0, [tree]
    while level:
        depth, level = depth + 1, [below for node in level for below in ast.iter_child_nodes(node)]
    return depth


def _patiently(act: Callable[[], A]) -> A:
    """Once more where no answer came in time: on a busy machine that says nothing about the design."""
    try:
        return act()
    except DesignError as fault:
        if not fault.reason.startswith(SILENCES["timeout"]):
            raise
        return act()
