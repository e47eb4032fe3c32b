"""What a candidate's Mojo may not contain, seen on its tokens: the first gate, before anything is compiled.

Mojo reaches the machine through names: modules, functions of the C library, operations of MLIR and LLVM. What may be
imported is listed; the rest of the language cannot name more than it was given. Not covered: who means to get past a
list of words. The compiler itself, which runs a candidate's code while it compiles, works in the sandbox.
"""

from collections.abc import Iterator, Mapping, Sequence

from evolve.domains.kernels.mojo.words import Word, words
from evolve.domains.kernels.rules import LONGEST

_SIZES = frozenset(
    "simd_width_of simd_bit_width simd_byte_width size_of align_of bit_width_of CompilationTarget".split()  # noqa: SIM905 - read as words
)
_INTRINSICS = frozenset(
    "prefetch PrefetchOptions PrefetchLocality PrefetchRW PrefetchCache masked_load masked_store gather scatter "  # noqa: SIM905 - read as words
    "strided_load strided_store compressed_store likely unlikely assume expect".split()
)
MODULES: Mapping[str, frozenset[str]] = {
    "std.math": frozenset(),
    "std.math.constants": frozenset(),
    "std.memory": frozenset(),
    "std.bit": frozenset(),
    "std.complex": frozenset(),
    "std.utils": frozenset(),
    "std.utils.index": frozenset(),
    "std.utils.numerics": frozenset(),
    "std.utils.static_tuple": frozenset(),
    "std.algorithm": frozenset(),
    "std.algorithm.functional": frozenset(),
    "std.collections": frozenset(),
    "std.atomic": frozenset(),
    "std.simd": frozenset(),
    "std.sys": _SIZES,
    "std.sys.info": _SIZES,
    "std.sys.intrinsics": _INTRINSICS,
    "max.algorithm": frozenset({"parallelize", "sync_parallelize"}),
}
"""What may be imported from where; nothing listed: everything."""
DECORATORS = frozenset("export always_inline no_inline parameter fieldwise_init align implicit staticmethod".split())  # noqa: SIM905 - read as words
_METHODS = (
    "init call getitem setitem add sub mul truediv floordiv mod neg radd rsub rmul iadd isub imul len bool "
    "lt le gt ge eq ne deinit iter next has_next contains"
)
DUNDERS = frozenset(f"__{name}__" for name in _METHODS.split())
_OUTSIDE = "reaches beyond the kernel's arguments"
_MACHINE = "writes what the compiler should: use SIMD, std.math and std.sys.intrinsics"
_WORDS = {
    "external_call DLHandle OwnedDLHandle RTLD dlopen dlsym Python PythonObject": "calls what is no Mojo; " + _OUTSIDE,
    "inlined_assembly llvm_intrinsic": _MACHINE,
    "open print input FileHandle FileDescriptor Path stdout stderr": "reads or writes; a kernel only computes",
    "exit abort breakpoint argv getenv setenv": _OUTSIDE,
    "perf_counter perf_counter_ns monotonic now sleep time clock": "reads a clock or waits; the judge keeps the time",
    "global_constant origin_of_global": "keeps state between calls",
    "async await create_task TaskGroup Thread": "starts work of its own; use max.algorithm.parallelize",
    "std": "opens the whole library; import the names that are needed, as in `from std.math import exp`",
}
EVERYDAY = frozenset({"input", "time", "clock", "now", "sleep", "exit"})
"""Of these the names that an argument may have: refused as a call."""
FORBIDDEN = {name: reason for names, reason in _WORDS.items() for name in names.split()}
_NOTHING = Word("mark", "", 0, first=False)


def violations(source: str) -> list[str]:
    """One sentence for each thing that is not allowed, none for an honest kernel."""
    if len(source) > LONGEST:
        return [f"the source has {len(source)} characters, more than {LONGEST}"]
    stream = words(source)
    found = [*_imports(stream), *_names(stream), *_decorators(stream)]
    if not any(_exports(stream[at:]) for at in range(len(stream))):
        found.append((1, 'nothing is exported; write @export("kernel") above `def kernel(…) abi("C"):`'))
    return list(dict.fromkeys(f"line {line}: {what}" for line, what in sorted(found)))


def _statements(stream: Sequence[Word], keyword: str) -> Iterator[list[Word]]:
    """Each from its keyword to the end of the line, or of the parenthesis that it opens."""
    for at, word in enumerate(stream):
        if word.text == keyword and word.kind == "name" and _begins(stream, at):
            depth, end = 0, at + 1
            while end < len(stream) and (depth or not stream[end].first) and stream[end].text != ";":
                depth += {"(": 1, ")": -1}.get(stream[end].text, 0)
                end += 1
            yield list(stream[at:end])


def _begins(stream: Sequence[Word], at: int) -> bool:
    return stream[at].first or stream[at - 1].text in {":", ";"}


def _imports(stream: Sequence[Word]) -> Iterator[tuple[int, str]]:
    for statement in _statements(stream, "import"):
        yield statement[0].line, "write `from MODULE import NAME`: import alone opens the whole library"
    for statement in _statements(stream, "from"):
        texts = [word.text for word in statement]
        at = texts.index("import") if "import" in texts else len(texts)
        module, names = "".join(texts[1:at]), [text for text in texts[at + 1 :] if text not in "(),"]
        yield from ((statement[0].line, what) for what in _from(module, names))


def _from(module: str, names: Sequence[str]) -> Iterator[str]:
    if module not in MODULES:
        hint = "; parallelize is in max.algorithm" if "parallelize" in names else ""
        yield f"from {module} import … is not allowed; there are {', '.join(sorted(MODULES))}{hint}"
        return
    originals = [name for at, name in enumerate(names) if name != "as" and (at == 0 or names[at - 1] != "as")]
    for name in originals:
        if name == "*":
            yield f"from {module} import * is not allowed; write the names"
        elif name.startswith("_") or (MODULES[module] and name not in MODULES[module]):
            known = ", ".join(sorted(MODULES[module])) or "its public names"
            yield f"{name} of {module} is not for kernels; there are {known}"


def _names(stream: Sequence[Word]) -> Iterator[tuple[int, str]]:
    imported = {id(word) for statement in _statements(stream, "from") for word in statement}
    for at, word in enumerate(stream):
        called = [after.text for after in stream[at + 1 : at + 2]] == ["("]
        problem = _mark(word) if word.kind != "name" else _name(word.text, called=called)
        if problem and not (word.text == "std" and id(word) in imported):
            yield word.line, problem


def _name(name: str, *, called: bool) -> str | None:
    if name in FORBIDDEN and (called or name not in EVERYDAY):
        return f"{name} {FORBIDDEN[name]}"
    if name.startswith("__") and name not in DUNDERS:
        return f"{name} belongs to the compiler; kernels are written without it"
    return None


def _mark(word: Word) -> str | None:
    if word.kind == "string":
        prefix = word.text[: min(word.text.find(quote) for quote in "\"'" if quote in word.text)]
        return "a template string runs what it holds; kernels need none" if "t" in prefix.lower() else None
    if word.kind == "quoted":
        return f"{word.text} hides a name in backticks; write it out"
    if word.text in {"\\", "`", "$", '"', "'"} or not word.text.isascii():
        return f"{word.text} has no place in a kernel outside of comments"
    return None


def _decorators(stream: Sequence[Word]) -> Iterator[tuple[int, str]]:
    for at, word in enumerate(stream):
        if word.text != "@" or not word.first:
            continue
        name = stream[at + 1].text if at + 1 < len(stream) else ""
        if name not in DECORATORS:
            yield word.line, f"@{name} is not allowed; there are {', '.join(sorted(DECORATORS))}"
        elif name == "export" and not _exports(stream[at:]):
            yield word.line, 'only the kernel is exported, as @export("kernel")'


def _exports(here: Sequence[Word]) -> bool:
    return [word.text for word in here[:5]] == ["@", "export", "(", '"kernel"', ")"]
