"""The static gate: what a module may not be, seen without running it.

It gives a writer an early, plain answer. What keeps a module from files and from gold is the sandbox, not this.
"""

import ast
from collections.abc import Iterable, Iterator, Sequence

from evolve.domains.memory.exam import Exam
from knowledge.architecture import IMPORTS
from knowledge.design import Design
from knowledge.stems import stems

MOST_LINES = 400
"""Of code."""
MOST_BYTES = 64 * 1024
STRETCH = 4
"""Words in a row, function words left out, that a module and an exam do not share by chance."""
FOR_TYPES = frozenset({"__future__.annotations", "numpy.typing", "numpy.typing.NDArray"})
"""What may be imported besides."""
BUILTINS = frozenset({"__import__", "breakpoint", "compile", "eval", "exec", "globals", "input", "locals", "open"})
REACHING = frozenset({"getattr", "setattr", "hasattr", "delattr"})
DUNDERS = frozenset(
    f"__{name}__"
    for name in """add call contains delitem enter eq exit ge getitem gt hash init iter le len lt name next
    post_init repr setitem slots str sub""".split()  # noqa: SIM905  a list of 25 literals is no easier to read
)
"""Attributes with such names that honest modules use."""
EXPORTS = ("PARAMS", "build")


def violations(design: Design, exams: Sequence[Exam] = ()) -> list[str]:
    """What is wrong, a sentence with the line for each; `exams`: those whose questions it must not know by heart."""
    if not design.source.strip():
        return ["there is no code in architecture.py"]
    if len(design.source.encode(errors="replace")) > MOST_BYTES:
        return [f"the module is larger than {MOST_BYTES // 1024} kB"]
    try:
        tree = ast.parse(design.source.encode())
    except (SyntaxError, ValueError, RecursionError, MemoryError) as fault:
        line = f"line {fault.lineno}: " if isinstance(fault, SyntaxError) and fault.lineno else ""
        return [f"{line}the module does not parse: {getattr(fault, 'msg', fault)}"]
    too_long = f"{design.lines} lines of code; at most {MOST_LINES} are read" if design.lines > MOST_LINES else ""
    return [*filter(None, [too_long]), *_reached(tree), *_missing(tree), *_memorised(tree, exams)]


def _reached(tree: ast.Module) -> Iterator[str]:
    """What a module may not import, call or look into."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from _imported(node, [alias.name for alias in names])
            case ast.ImportFrom(module=module, names=names, level=level):
                source = "." * level + (module or "")
                yield from _imported(node, [source] if source in IMPORTS else [f"{source}.{a.name}" for a in names])
            case ast.Call(func=ast.Name(id=called)) if called in BUILTINS | REACHING:
                yield from _called(node, called)
            case ast.Name(id=name) if name in BUILTINS or (_dunder(name) and name not in DUNDERS):
                yield f"line {node.lineno}: a memory has no use for {name}"
            case ast.Attribute(attr=name) if _dunder(name) and name not in DUNDERS:
                yield f"line {node.lineno}: a memory has no use for the attribute {name}"


def _imported(node: ast.stmt, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        if name not in IMPORTS | FOR_TYPES:
            yield f"line {node.lineno}: it imports {name}; what may be imported: {', '.join(sorted(IMPORTS))}"


def _called(node: ast.Call, name: str) -> Iterator[str]:
    if name in REACHING:
        texts = (argument.value for argument in node.args if isinstance(argument, ast.Constant))
        if any(isinstance(text, str) and _dunder(text) and text not in DUNDERS for text in texts):
            yield f"line {node.lineno}: a memory has no use for {name} of such a name"


def _dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _missing(tree: ast.Module) -> Iterator[str]:
    bound: set[str] = set()
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)):
                bound.add(name)
            case ast.Assign(targets=targets):
                bound.update(target.id for target in targets if isinstance(target, ast.Name))
    for name in EXPORTS:
        if name not in bound:
            yield f"the module exports no {name}"


def _memorised(tree: ast.Module, exams: Iterable[Exam]) -> Iterator[str]:
    """Literals that hold a stretch of a question, of its answer or of what answers it; read as one text, too."""
    known = {stretch for exam in exams for text in _secrets(exam) for stretch in _stretches(stems(text))}
    words: list[tuple[str, int]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            words += [(stem, node.lineno) for stem in stems(node.value)]
    words.sort(key=lambda pair: pair[1])
    for place, stretch in enumerate(_stretches([stem for stem, _ in words])):
        if stretch in known:
            yield f"line {words[place][1]}: it knows words of the exam by heart: {' '.join(stretch)}"
            return


def _secrets(exam: Exam) -> Iterator[str]:
    texts = {event.id: event.text for event in exam.events}
    for question in exam.questions:
        yield question.query.text
        yield question.answer
        yield from (texts[name] for name in question.gold if name in texts)


def _stretches(words: Sequence[str]) -> list[tuple[str, ...]]:
    return [tuple(words[place : place + STRETCH]) for place in range(len(words) - STRETCH + 1)]
