"""A look at an evaluator's syntax tree: can the program be kept out of its process, and what does it import?

It cannot where the evaluator runs the program's text itself or starts another program on it. What this look does not
see, the referee does: it refuses to run such text, and says so.
"""

import ast
import sys
from collections.abc import Iterator, Mapping

PROVIDED = frozenset({"numpy", "openevolve"})
"""What a sandbox has beside the standard library; of openevolve, the class for results."""
RUNNERS = frozenset({"exec", "eval"})
OTHER_RUNNERS = frozenset({"run_path", "run_module", "load_source", "load_module"})
STARTERS = frozenset({"run", "Popen", "call", "check_call", "check_output", "create_subprocess_exec"})
SHELLS = frozenset({"system", "popen", "create_subprocess_shell", "getoutput", "getstatusoutput"})
PROCESSES = frozenset({"subprocess", "asyncio", "os"})


def texts(evaluator: str, folder: Mapping[str, str]) -> Iterator[tuple[str, ast.Module]]:
    """The evaluator and what it imports from its folder, by file. Raises SyntaxError for the evaluator."""
    waiting, seen = ["evaluator.py"], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            tree = ast.parse(folder.get(name, evaluator))
        except (SyntaxError, ValueError):
            if name == "evaluator.py":
                raise
            continue
        yield name, tree
        own = {module for node in ast.walk(tree) for module in _modules(node)}
        for module in sorted(own):
            path = module.replace(".", "/")
            waiting += [found for found in (f"{path}.py", f"{path}/__init__.py") if found in folder]


def embeds(tree: ast.Module) -> str:
    """Why the program runs in the evaluator's own process, in words that name the line; empty where it need not."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (reason := _embedding(node, tree)):
            return f"line {node.lineno}: {reason}"
    return ""


def needed(tree: ast.Module, own: frozenset[str]) -> set[str]:
    """Modules that it cannot be imported without and that no sandbox is sure to have."""
    imported = {module.partition(".")[0] for node in tree.body for module in _modules(node)}
    return imported - own - PROVIDED - sys.stdlib_module_names


def functions(tree: ast.Module) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def mentions(tree: ast.AST, name: str) -> bool:
    """Whether a text, or a keyword, in it is `name`."""
    return any(
        (isinstance(node, ast.Constant) and node.value == name) or (isinstance(node, ast.keyword) and node.arg == name)
        for node in ast.walk(tree)
    )


def _modules(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (name.name for name in names)
        case ast.ImportFrom(module=str() as module, level=0):
            yield module


def _embedding(call: ast.Call, tree: ast.Module) -> str:
    match call.func:
        case ast.Name(id=name) if name in RUNNERS and call.args and not isinstance(call.args[0], ast.Constant):
            return f"{name} runs text in the evaluator's process"
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in OTHER_RUNNERS:
            return f"{name} runs a program in the evaluator's process"
        case ast.Attribute(value=ast.Name(id=module), attr=name) if module in PROCESSES and call.args:
            command = _command(call.args[0], tree)
            if name in SHELLS or (name in STARTERS and isinstance(command, ast.Constant | ast.JoinedStr)):
                return "" if _is_python(command) else f"{name} starts another program"
            if name in STARTERS and isinstance(command, ast.List | ast.Tuple):
                return "" if _harmless(command.elts) else f"{name} starts another program"
    return ""


def _command(argument: ast.expr, tree: ast.Module) -> ast.expr:
    """The argument, or what the name that it is stands for."""
    if isinstance(argument, ast.Starred):
        return _command(argument.value, tree)
    if isinstance(argument, ast.Name):
        for node in ast.walk(tree):
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=value) if name == argument.id:
                    return value
    return argument


def _harmless(words: list[ast.expr]) -> bool:
    """Python, or words that do not hang on the program."""
    return not words or _is_python(words[0]) or all(isinstance(word, ast.Constant) for word in words)


def _is_python(word: ast.expr) -> bool:
    match word:
        case ast.Attribute(value=ast.Name(id="sys"), attr="executable"):
            return True
        case ast.Constant(value=str() as text):
            return text.rpartition("/")[2].startswith("python")
        case ast.JoinedStr(values=[first, *_]):
            return _is_python(first.value if isinstance(first, ast.FormattedValue) else first)
    return False
