"""A checkout in KernelBench's format: `KernelBench/level1/19_ReLU.py` and so on, each with `Model` and its inputs.

Texts are read and rewritten here; nothing of them is run.
"""

import ast
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from evolve.errors import UsageError

FOLDERS = ("KernelBench", ".")
NEEDED = ("Model", "get_inputs", "get_init_inputs")
SMALLEST = 4
"""No size is made smaller than this."""
LARGEST_POWER = 40
ARITHMETIC: Mapping[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
}


class Problem(NamedTuple):
    level: int
    number: int
    name: str
    """Such as `19_ReLU`."""
    text: str

    @property
    def id(self) -> str:
        return f"level{self.level}-{self.name}"


def read(path: Path, level: int, numbers: str) -> list[Problem]:
    """In the order of their numbers. Raises UsageError when the checkout has no such level or problem."""
    folders = [path / folder / f"level{level}" for folder in FOLDERS]
    found = next((folder for folder in folders if folder.is_dir()), None)
    if found is None:
        raise UsageError(f"{path} has no level {level}: there is no folder {folders[0]}; give --path a checkout")
    files = {int(match[1]): file for file in found.glob("*.py") if (match := re.match(r"(\d+)_", file.name))}
    wanted = [number for number in _numbers(numbers, sorted(files)) if number in files]
    if not wanted:
        raise UsageError(f"level {level} of {path} has no problem {numbers or 'at all'}; it has {len(files)}")
    return [Problem(level, number, files[number].stem, files[number].read_text()) for number in sorted(set(wanted))]


def _numbers(ranges: str, all_of_them: list[int]) -> Iterator[int]:
    """Of `1-20` or `3,7,10-12`; all when empty. Raises UsageError."""
    if not ranges.strip():
        yield from all_of_them
        return
    for part in ranges.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        if not match:
            raise UsageError(f"--problems {ranges!r} is no list of numbers and ranges such as 1-20 or 3,7,10-12")
        yield from range(int(match[1]), int(match[2] or match[1]) + 1)


def missing(text: str) -> str:
    """What makes a text no problem; empty when it is one."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        return f"it is no Python: {error}"
    defined = {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    lacking = [name for name in NEEDED if name not in defined]
    return f"it does not define {' and '.join(lacking)}" if lacking else ""


def sizes(text: str) -> dict[str, int]:
    """Constants of module level on which `get_inputs` depends, and which depend on no other."""
    assigned = dict(_assignments(text))
    made = next(
        node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef) and node.name == "get_inputs"
    )
    used, new = set[str](), _names(made) & assigned.keys()
    while new:
        used |= new
        new = {name for each in new for name in _names(assigned[each])} & assigned.keys() - used
    values = {name: _constant(assigned[name]) for name in sorted(used)}
    return {name: value for name, value in values.items() if value is not None and value > SMALLEST}


def resized(text: str, smaller: Mapping[str, int]) -> str:
    lines = [line.encode() for line in text.splitlines(keepends=True)]
    for name, node in reversed(list(_assignments(text))):
        if name in smaller and node.lineno == node.end_lineno:
            line = lines[node.lineno - 1]
            lines[node.lineno - 1] = line[: node.col_offset] + str(smaller[name]).encode() + line[node.end_col_offset :]
    return b"".join(lines).decode()


def _assignments(text: str) -> Iterator[tuple[str, ast.expr]]:
    """Names of module level with what they are set to, in the order of the text; of `a = b = 1` the first name."""
    for node in ast.parse(text).body:
        if not isinstance(node, ast.Assign):
            continue
        target, value = node.targets[0], node.value
        if isinstance(target, ast.Name):
            yield target.id, value
        elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for one, part in zip(target.elts, value.elts, strict=False):
                if isinstance(one, ast.Name):
                    yield one.id, part


def _names(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def _constant(node: ast.expr) -> int | None:
    """The value of whole numbers combined by arithmetic; None for anything else."""
    if isinstance(node, ast.Constant):
        return node.value if type(node.value) is int else None
    if not isinstance(node, ast.BinOp) or type(node.op) not in ARITHMETIC:
        return None
    left, right = _constant(node.left), _constant(node.right)
    if left is None or right is None or right < 0 or (isinstance(node.op, ast.Pow) and right > LARGEST_POWER):
        return None
    try:
        return int(ARITHMETIC[type(node.op)](left, right))
    except ZeroDivisionError:
        return None


def seed(text: str) -> str:
    """The problem's own model under the name that a candidate must use."""
    lines = text.splitlines(keepends=True)
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name in {"get_inputs", "get_init_inputs"}:
            for at in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[at] = ""
    return re.sub(r"\bModel\b", "ModelNew", "".join(lines)).rstrip() + "\n"
