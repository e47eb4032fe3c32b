"""What a candidate's Triton may not contain, seen on its syntax tree: the first gate, before anything runs.

The Python around the kernels computes sizes and launches; whatever computes on tensors is a kernel. Not covered: who
means to get past a list of words.
"""

import ast
from collections.abc import Iterator

LONGEST = 64 * 1024
MODULES = frozenset({"torch", "triton", "triton.language", "math"})
TORCH = frozenset(
    "empty empty_like zeros zeros_like Tensor dtype float32 float16 bfloat16 float64 int8 int16 int32 int64 uint8 bool "  # noqa: SIM905 - read as words
    "float int long".split()
)
"""Of torch: types and scratch memory."""
TRITON = frozenset({"jit", "cdiv", "next_power_of_2", "language", "heuristics", "constexpr"})
METHODS = frozenset(
    "stride size numel dim element_size is_contiguous shape dtype device ndim view reshape get items values keys "  # noqa: SIM905 - read as words
    "bit_length append".split()
)
"""Of what the Python around the kernels may ask an object, besides modules."""
CALLED = frozenset("min max len range int float bool abs round divmod tuple list dict zip enumerate isinstance".split())  # noqa: SIM905 - read as words
STATEMENTS: dict[type[ast.AST], str] = {
    ast.Try: "hides what fails; a kernel that fails is to be seen",
    ast.TryStar: "hides what fails; a kernel that fails is to be seen",
    ast.Global: "keeps state between calls",
    ast.Nonlocal: "keeps state between calls",
    ast.ClassDef: "has no place here; functions will do",
    ast.AsyncFunctionDef: "outlasts the call",
    ast.With: "has no place here; launch and return",
    ast.Delete: "removes what others use",
    ast.MatMult: "computes on tensors outside of a kernel",
    ast.Await: "outlasts the call",
    ast.Yield: "outlasts the call",
    ast.YieldFrom: "outlasts the call",
}
WORDS = {ast.Try: "try", ast.TryStar: "try", ast.ClassDef: "class", ast.MatMult: "@", ast.With: "with"}


def violations(source: str) -> list[str]:
    """One sentence for each thing that is not allowed, none for an honest kernel; one that is no Python is left to
    Python itself.
    """
    if len(source) > LONGEST:
        return [f"the source has {len(source)} characters, more than {LONGEST}"]
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    kernels = {name for name, node in functions.items() if any(_jit(each) for each in node.decorator_list)}
    found = [problem for node in _host(tree, kernels) for problem in _problems(node, set(functions))]
    found += [problem for name in kernels for problem in _inside(functions[name])]
    if not any(_launched(node, kernels) for node in ast.walk(tree)):
        found.append((1, "no @triton.jit function is launched, as in name[grid](…); torch alone is no kernel"))
    return list(dict.fromkeys(f"line {line}: {what}" for line, what in sorted(found)))


def _jit(decorator: ast.expr) -> bool:
    return ast.unparse(decorator).split("(")[0] in {"triton.jit", "jit"}


def _launched(node: ast.AST, kernels: set[str]) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Subscript)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in kernels
    )


def _host(tree: ast.Module, kernels: set[str]) -> Iterator[ast.AST]:
    """Every node outside of the kernels, their decorators included."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.FunctionDef) and node.name in kernels:
            waiting += node.decorator_list
        else:
            waiting += ast.iter_child_nodes(node)


def _problems(node: ast.AST, functions: set[str]) -> Iterator[tuple[int, str]]:
    line = getattr(node, "lineno", 1)
    yield from ((line, what) for what in _everywhere(node))
    if type(node) in STATEMENTS:
        yield line, f"{WORDS.get(type(node), type(node).__name__.lower())} {STATEMENTS[type(node)]}"
    for check in (_attribute, _assigned):
        yield from ((line, what) for what in check(node))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id not in CALLED | functions:
        yield line, f"{node.func.id}() is neither defined here nor among {', '.join(sorted(CALLED))}"
    if isinstance(node, ast.FunctionDef):
        yield from ((line, what) for each in node.decorator_list for what in _decorator(each))


def _inside(kernel: ast.FunctionDef) -> Iterator[tuple[int, str]]:
    for node in ast.walk(kernel):
        yield from ((getattr(node, "lineno", 1), what) for what in _everywhere(node))


def _everywhere(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (f"import {each.name} {_only()}" for each in node.names if each.name not in MODULES)
    elif isinstance(node, ast.ImportFrom):
        if node.module not in MODULES or node.module == "torch":
            yield f"from {node.module} import … {_only()}"
    elif isinstance(node, ast.Name | ast.Attribute):
        name = node.id if isinstance(node, ast.Name) else node.attr
        if name.startswith("__") or name in {"globaltimer", "clock", "smid"}:
            yield f"{name} has no place in a kernel"
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and name in _REACHING:
            yield f"{name} reaches beyond the kernel's arguments"


_REACHING = frozenset(
    "open exec eval compile getattr setattr delattr globals locals vars type object super input print breakpoint "  # noqa: SIM905 - read as words
    "memoryview help id dir exit quit".split()
)


def _only() -> str:
    return f"is not allowed; there are {', '.join(sorted(MODULES))} (import torch whole)"


def _attribute(node: ast.AST) -> Iterator[str]:
    if not isinstance(node, ast.Attribute):
        return
    whole = ast.unparse(node)
    root = whole.split(".")[0]
    if root == "torch":
        if whole.split(".")[1] not in TORCH:
            yield f"{whole} is not for kernels: what computes on tensors is to be a @triton.jit function"
    elif root == "triton":
        if whole == "triton.autotune":
            yield "triton.autotune measures by itself; choose the sizes, the judge keeps the time"
        elif whole.split(".")[1] not in {*TRITON, "autotune"}:
            yield f"{whole} is not what a kernel may use of Triton"
    elif root not in {"tl", "math"} and node.attr not in METHODS:
        yield f".{node.attr} may compute outside of a kernel; sizes may be asked with {', '.join(sorted(METHODS))}"


def _assigned(node: ast.AST) -> Iterator[str]:
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AugAssign | ast.AnnAssign):
        targets = [node.target]
    for target in targets:
        if isinstance(target, ast.Attribute):
            yield f"{ast.unparse(target)} = … changes what others use"
        elif isinstance(target, ast.Subscript):
            yield f"{ast.unparse(target)} = … writes outside of a kernel"
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) and node.target.id == "out":
        yield "out is written outside of a kernel"


def _decorator(node: ast.expr) -> Iterator[str]:
    if not _jit(node) and ast.unparse(node).split("(")[0] not in {"triton.heuristics", "triton.autotune"}:
        yield f"@{ast.unparse(node)} is not allowed; triton.jit is"
