"""What a candidate's CUDA may not contain, seen on its tokens: the first gate, before anything is compiled.

Refused is what makes work outlast a call or escape the judge's view: streams, graphs, events and callbacks (a graph
replays what an earlier call recorded), memory that the host or another process shares, a device that is reset or
changed, code that is loaded at run time, and libraries. `cudaMalloc` and `__device__` arrays are scratch like any
other: inputs are new at each call and each output is judged, so that nothing kept from an earlier call is an answer.
Not covered: what runs when the library is loaded (constructors of global objects), and whoever means to get past a
list of words.
"""

import re
from collections.abc import Iterator, Sequence

from evolve.domains.kernels.rules import LONGEST
from evolve.domains.kernels.tokens import Token, tokens
from evolve.domains.kernels.vocabulary import DIRECTIVES, FORBIDDEN, FORBIDDEN_CALLS

GIVEN = ("-O3", "-std=c++17")
FLAGS = ("-use_fast_math", "-extra-device-vectorization", *(f"-maxrregcount={count}" for count in (32, 64, 128, 255)))
HEADERS = frozenset(
    "cuda_runtime.h cuda_fp16.h cuda_bf16.h mma.h cuda_pipeline.h cooperative_groups.h cooperative_groups/reduce.h "  # noqa: SIM905 - read as words
    "cooperative_groups/memcpy_async.h math_constants.h cstdint stdint.h cmath math.h cfloat float.h climits limits.h "
    "type_traits cassert assert.h".split()
)
PRAGMAS = re.compile(r"\s*(unroll|nounroll|nv_diag_\w+|diag_\w+|once)\b")
_STREAMS = "lets work outlast the call or replays an earlier one; launch on the default stream"
_SHARED = "shares memory with the host or other processes; a kernel works on device memory"
_LOADED = "loads other code at run time"
_TRESPASS = "changes the device for the judge"
_LIBRARY = "is a library; write the kernel itself"
_CLOCK = "reads a clock or waits; the judge keeps the time"
REFUSED = (
    (re.compile(r"cuda(Stream|Graph|Event|LaunchHostFunc|UserObject)\w*"), _STREAMS),
    (re.compile(r"cuda(Host|MallocHost|MallocManaged|Ipc|Import|External|MemPrefetch|MemAdvise)\w*"), _SHARED),
    (re.compile(r"cudaMemcpy(Default|HostTo|DeviceToHost|\w*Symbol)\w*"), "computes or keeps data on the host"),
    (re.compile(r"cuda(DeviceReset|SetDevice|DeviceSetLimit|Profiler|CtxReset)\w*"), _TRESPASS),
    (re.compile(r"(cudaLibrary|cudaGetDriverEntryPoint|nvrtc|nvJitLink)\w*|cu[A-Z]\w*"), _LOADED),
    (re.compile(r"(cublas|cudnn|cufft|curand|cusparse|cutlass|thrust|cub)\w*"), _LIBRARY),
    (re.compile(r"_*clock(64)?|globaltimer\w*|__nanosleep"), _CLOCK),
    (re.compile(r"constructor|destructor|init_priority|ifunc|section|visibility"), "acts outside of the calls"),
)
"""Names, and why."""
ALLOWED = re.compile(
    r"cuda(Malloc|MallocAsync|Free|FreeAsync|Memset|MemsetAsync|Memcpy|MemcpyAsync|MemcpyDeviceToDevice|"
    r"FuncSetAttribute|FuncSetCacheConfig|FuncAttribute\w+|FuncCache\w+|Error_t|Error\w+|Success|GetLastError|"
    r"PeekAtLastError|GetErrorString|DeviceSynchronize|Occupancy\w+|DeviceGetAttribute|DevAttr\w+|GetDevice|"
    r"LaunchCooperativeKernel|GetSymbolAddress)"
)
_ANYWHERE = {name: reason for name, reason in FORBIDDEN.items() if name != "extern"}
_NOTHING = Token("mark", "", 0)


def violations(source: str) -> list[str]:
    """One sentence for each thing that is not allowed, none for an honest kernel."""
    if len(source) > LONGEST:
        return [f"the source has {len(source)} characters, more than {LONGEST}"]
    flags = [
        f"line 1: the flag {flag} is not among {', '.join(FLAGS)}"
        for flag in _declared(source)
        if flag not in {*FLAGS, *GIVEN}
    ]
    stream = tokens(source)
    found = [(token.line, what) for token in _opened(stream) for what in _directive(token)]
    found += _names([token for token in _opened(stream) if token.kind != "directive"])
    if not _exported(stream):
        found.append((1, 'nothing is exported; define `extern "C" void kernel(…)`'))
    return list(dict.fromkeys(flags + [f"line {line}: {what}" for line, what in sorted(found)]))


def _declared(source: str) -> list[str]:
    found = re.match(r"\s*//\s*flags:([^\n]*)", source)
    return found[1].split() if found else []


def _opened(stream: Sequence[Token]) -> Iterator[Token]:
    """All tokens, and after each directive those within it."""
    for token in stream:
        yield token
        if token.kind == "directive" and not re.match(r"\s*(include|pragma|error)\b", token.text):
            yield from (inner._replace(line=token.line) for inner in tokens(token.text)[1:])


def _directive(token: Token) -> Iterator[str]:
    if token.kind != "directive":
        return
    name, _, rest = token.text.strip().partition(" ")
    if name not in DIRECTIVES:
        yield f"#{name} is not allowed"
    elif name == "include" and rest.strip().strip("<>") not in HEADERS:
        yield f"#include {rest.strip()} is not allowed; there are {' '.join(f'<{known}>' for known in sorted(HEADERS))}"
    elif name == "pragma" and not PRAGMAS.match(rest):
        yield f"#pragma {rest} is not allowed; unroll is"


def _names(stream: Sequence[Token]) -> Iterator[tuple[int, str]]:
    for index, token in enumerate(stream):
        before = stream[index - 1] if index else _NOTHING
        after = stream[index + 1] if index + 1 < len(stream) else _NOTHING
        problem = _mark(token) if token.kind != "name" else None
        if token.kind == "name" and before.text not in {".", "->"}:
            problem = _extern(after) if token.text == "extern" else _name(token.text, called=after.text == "(")
        if problem:
            yield token.line, problem


def _name(name: str, *, called: bool) -> str | None:
    reason = _ANYWHERE.get(name) or (FORBIDDEN_CALLS.get(name) if called else None)
    reason = reason or next((why for pattern, why in REFUSED if pattern.fullmatch(name)), None)
    if reason:
        return f"{name} {reason}"
    if name.startswith("cuda") and not name.startswith("cuda_") and not ALLOWED.fullmatch(name):
        return f"{name} is not what a kernel may use of the CUDA runtime"
    return None


def _extern(after: Token) -> str | None:
    if after.text in {'"C"', "__shared__"}:
        return None
    return 'extern declares something from elsewhere; only extern "C" and extern __shared__ are for kernels'


def _mark(token: Token) -> str | None:
    if token.kind == "string":
        return (
            "PTX that reads a clock; the judge keeps the time" if re.search("clock|globaltimer", token.text) else None
        )
    if token.text in {"##", "%:%:"}:
        return "## builds names that cannot be seen; write them out"
    if token.text in {"\\", "`", "@", "$", '"', "'"} or not token.text.isascii():
        return f"{token.text} has no place in a kernel outside of comments"
    return None


def _exported(stream: Sequence[Token]) -> bool:
    words = " ".join(token.text for token in stream)
    return re.search(r'extern "C" (\{.*)?(__host__ )?void kernel \(', words, re.DOTALL) is not None
