"""A task folder in OpenEvolve's format, read from disk. Nothing of it is run on the host."""

import ast
import importlib.util
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from evolve.domains.programs import blocks, isolation, settings
from evolve.errors import UsageError

EVALUATOR = "evaluator.py"
INITIAL = "initial_program.py"
SCORE = "combined_score"
STAGE = "evaluate_stage{}"
MOST_STAGES = 3
LARGEST_FILE = 4 << 20
"""Bytes of a file that goes along."""
LARGEST_FOLDER = 32 << 20
LEFT_OUT = frozenset({"__pycache__", "openevolve_output", "node_modules", "venv"})


class Stage(NamedTuple):
    function: str
    at_least: float | None = None
    """What must be reached for the next stage to run; None for the last."""
    metric: str = ""
    """By which metric; without, by combined_score, else by the mean of all (OpenEvolve's rule)."""


class Posed(NamedTuple):
    """A task folder as it was read."""

    folder: Path
    name: str
    program: str
    """Name of the file that changes."""
    source: str
    evaluator: str
    trusted: Mapping[str, str]
    """The other text files, by path from the folder: for the evaluator alone."""
    stages: tuple[Stage, ...]
    score: str
    trusting: str
    """Why evaluator and program share a process; empty where they do not."""
    modules: frozenset[str]
    """Beside the standard library and numpy."""
    seconds: float
    memory_mb: int
    processes: int
    longest: int | None
    """Characters of a program."""
    message: str
    """What the task's author says to writers."""
    calls: tuple[str, ...]
    """Functions of the program that the evaluator names, with their parameters."""
    changing: tuple[str, ...]
    """What is defined between the marks; empty where the whole file may change."""
    fixed: tuple[str, ...]
    """And elsewhere."""

    @property
    def seed(self) -> int:
        """Of random numbers in a first judgement: the same for every candidate, so that two scores differ by nothing
        else, and unknown to candidates, as the evaluator is.
        """
        return int(sha256(self.evaluator.encode()).hexdigest()[:12], 16)


def read(folder: Path, name: str) -> Posed:
    """Raises UsageError, one sentence, for what is no task or cannot be judged."""
    texts = _texts(folder)
    if EVALUATOR not in texts:
        raise UsageError(f"{folder} has no {EVALUATOR} with evaluate(path)")
    program = _program(folder, texts)
    own, theirs = settings.own(folder), settings.theirs(folder)
    evaluator, source = texts.pop(EVALUATOR), texts.pop(program)
    try:
        parts = dict(isolation.texts(evaluator, texts))
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"{folder / EVALUATOR} is no Python program: {error}") from error
    initial, functions = _parsed(folder / program, source), isolation.functions(parts[EVALUATOR])
    stages = _stages(folder, set(functions), own.cascade if own.cascade is not None else theirs.cascade)
    stages = tuple(_measured(stage, functions[stage.function], own.score) for stage in stages)
    if not own.score and not any(isolation.mentions(part, SCORE) for part in parts.values()):
        raise UsageError(
            f"{folder / EVALUATOR} gives no {SCORE}: name the metric that is the score in {folder / 'evolve.toml'}, "
            'such as score = "accuracy"'
        )
    modules = _modules(folder, parts, initial, texts, program)
    return Posed(
        folder=folder,
        name=name,
        program=program,
        source=source,
        evaluator=evaluator,
        trusted=texts,
        stages=stages,
        score=own.score or SCORE,
        trusting=_trusting(parts, own.trusting),
        modules=modules,
        seconds=own.seconds or theirs.seconds,
        memory_mb=own.memory_mb,
        processes=own.processes,
        longest=theirs.longest,
        message=(own.prompt or theirs.message).strip(),
        calls=tuple(_called(initial, parts.values())),
        changing=tuple(_defined(initial, source, changing=True)),
        fixed=tuple(_defined(initial, source, changing=False)),
    )


def _trusting(parts: Mapping[str, ast.Module], said: bool | None) -> str:
    """Why evaluator and program share a process: what is `said`, else what a look at the evaluator finds."""
    found = next((f"{file} {reason}" for file, part in parts.items() if (reason := isolation.embeds(part))), "")
    return found if said is None else (found or "evolve.toml says so") if said else ""


def hidden(name: str) -> bool:
    return name.startswith(".") or name in LEFT_OUT


def _texts(folder: Path) -> dict[str, str]:
    """Every text file by its path from the folder; raises UsageError where they are too many to go along."""
    texts: dict[str, str] = {}
    left = LARGEST_FOLDER
    for file in sorted(folder.rglob("*")):
        path = file.relative_to(folder)
        if any(hidden(part) for part in path.parts) or not file.is_file() or file.stat().st_size > LARGEST_FILE:
            continue
        try:
            text = file.read_text(encoding="utf-8")
        except (UnicodeDecodeError, OSError):
            continue
        left -= len(text)
        if left < 0:
            raise UsageError(
                f"{folder} holds more than {LARGEST_FOLDER >> 20} MB of text: give the task a folder alone"
            )
        if "\0" not in text:
            texts[path.as_posix()] = text
    return texts


def _program(folder: Path, texts: Mapping[str, str]) -> str:
    """Name of the file that changes."""
    if INITIAL in texts:
        return INITIAL
    other = next((path.name for path in sorted(folder.glob("initial_program.*")) if path.is_file()), "")
    if other:
        raise UsageError(f"{folder / other} is not Python: programs in other languages cannot be judged here")
    marked = [
        name
        for name, text in texts.items()
        if "/" not in name
        and name.endswith(".py")
        and name != EVALUATOR
        and re.search(rf"^\s*#.*{blocks.START}", text, re.MULTILINE)
    ]
    if len(marked) != 1:
        several = f"; marks are in {', '.join(marked)}" if marked else ""
        raise UsageError(f"{folder} has no {INITIAL}, nor one other *.py with EVOLVE-BLOCK marks{several}")
    return marked[0]


def _parsed(file: Path, source: str) -> ast.Module:
    try:
        blocks.parted(source)
        return ast.parse(source)
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"{file} is no program to begin with: {error}") from error


def _stages(folder: Path, functions: set[str], thresholds: Sequence[float]) -> tuple[Stage, ...]:
    """OpenEvolve's cascade, where there are stages and it is on; the last one is without a threshold.

    Where there is a first stage and no second, `evaluate` is the second.
    """
    if not functions & {"evaluate", STAGE.format(1)}:
        raise UsageError(f"{folder / EVALUATOR} defines no evaluate(path)")
    names = [STAGE.format(number) for number in range(1, MOST_STAGES + 1)]
    staged = names[: next((at for at, name in enumerate(names) if name not in functions), MOST_STAGES)]
    if "evaluate" in functions and (not staged or not thresholds):
        return (Stage("evaluate"),)
    if "evaluate" in functions and len(staged) == 1:
        staged.append("evaluate")
    staged = staged[: len(thresholds) + 1]
    return (*(Stage(name, at) for name, at in zip(staged[:-1], thresholds, strict=False)), Stage(staged[-1]))


def _measured(stage: Stage, function: ast.AST, score: str) -> Stage:
    """By the metric that the task names, where the stage gives it."""
    named = stage.at_least is not None and score and isolation.mentions(function, score)
    return stage._replace(metric=score) if named else stage


def _modules(
    folder: Path, parts: Mapping[str, ast.Module], initial: ast.Module, texts: Mapping[str, str], program: str
) -> frozenset[str]:
    """Raises UsageError for modules that are not even here."""
    own = frozenset(name.partition("/")[0].removesuffix(".py") for name in (*texts, program) if name.endswith(".py"))
    needed = [(file, isolation.needed(tree, own)) for file, tree in (*parts.items(), (program, initial))]
    for file, names in needed:
        if absent := sorted(name for name in names if importlib.util.find_spec(name) is None):
            listed, verb = " and ".join(absent), "is" if len(absent) == 1 else "are"
            raise UsageError(f"{folder / file} needs {listed}, which {verb} not here: a sandbox has Python and numpy")
    return frozenset().union(*(names for _, names in needed))


def _called(initial: ast.Module, parts: Iterable[ast.Module]) -> Iterator[str]:
    """Functions and classes of the program that the evaluator's text names."""
    words = {word for part in parts for word in re.findall(r"\w+", ast.unparse(part))}
    for node in initial.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in words:
            yield _signature(node)


def _signature(node: ast.FunctionDef | ast.ClassDef) -> str:
    return f"class {node.name}" if isinstance(node, ast.ClassDef) else f"{node.name}({ast.unparse(node.args)})"


def _defined(initial: ast.Module, source: str, *, changing: bool) -> Iterator[str]:
    """Functions and classes, between the marks or not; none where there are no marks."""
    if blocks.START not in source:
        return
    lines = blocks.changeable(source)
    nodes = ast.walk(initial) if changing else initial.body
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and _inside(node, lines) is changing:
            yield node.name


def _inside(node: ast.stmt, lines: Sequence[range]) -> bool:
    return any(node.lineno in span for span in lines)
