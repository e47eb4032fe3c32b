"""Evaluators in OpenEvolve's format inside the sandbox: what works as it does outside, and who cannot forge what."""

import os
import time
from collections.abc import Mapping
from typing import Any

import pytest

from evolve.types import Job, Limits, Sandbox

PROGRAM = "initial_program.py"
BY_SPEC = """
import importlib.util, sys

def load(path):
    spec = importlib.util.spec_from_file_location("program", path)
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    return program
"""
SQUARES = (
    BY_SPEC
    + """
import random

def evaluate(path):
    program = load(path)
    asked = [random.randrange(10**6) for _ in range(20)]
    right = sum(program.square(number) == number * number for number in asked)
    return {"combined_score": right / len(asked)}
"""
)
HONEST = "def square(x):\n    return x * x\n"


def evaluate(
    sandbox: Sandbox, evaluator: str, program: str = HONEST, stages: Any = ({"function": "evaluate"},), **changes: Any
) -> dict[str, Any]:
    trusted = {"evaluator.py": evaluator, **changes.pop("trusted", {})}
    limits = Limits(memory_mb=256, output_kb=4)
    request = {"program": PROGRAM, "stages": stages, "trusting": False, "seed": 2**77, "seconds": 20.0, **changes}
    files = {PROGRAM: program, **request.pop("files", {})}
    return dict(
        sandbox.run(Job(program="evaluate", files=files, trusted=trusted, request=request, limits=limits)).reply
    )


def metrics(sandbox: Sandbox, evaluator: str, program: str = HONEST, **changes: Any) -> Mapping[str, Any]:
    reply = evaluate(sandbox, evaluator, program, **changes)
    assert reply["failure"] is None, reply
    found: Mapping[str, Any] = reply["stages"][-1]["metrics"]
    return found


def failure(sandbox: Sandbox, evaluator: str, program: str = HONEST, **changes: Any) -> tuple[str, str]:
    reply = evaluate(sandbox, evaluator, program, **changes)
    assert reply["failure"], reply
    return reply["failure"]["kind"], reply["failure"]["message"]


def asking(body: str) -> str:
    """An evaluator whose `evaluate` has this body (lines), with `program` at hand."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return f"{BY_SPEC}\nimport numpy as np\n\ndef evaluate(path):\n    program = load(path)\n{lines}\n"


# ---- what evaluators do


BY_NAME = """
import os, sys

def evaluate(path):
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    program = __import__(os.path.splitext(os.path.basename(path))[0])
    return {"combined_score": program.square(3)}
"""
BY_IMPORTLIB = BY_NAME.replace("__import__(", "importlib.import_module(").replace("import os", "import importlib, os")
BY_IMPORTLIBS_IMPORT = BY_NAME.replace("import os", "from importlib import __import__\nimport os", 1)
BY_STATEMENT = """
import os, sys

def evaluate(path):
    sys.path.insert(0, os.path.dirname(path))
    from initial_program import square
    return {"combined_score": square(3)}
"""
BY_COPY = (
    BY_SPEC
    + """
import os, shutil, tempfile

def evaluate(path):
    copy = os.path.join(tempfile.mkdtemp(), "candidate.py")
    shutil.copy(path, copy)
    return {"combined_score": load(copy).square(3)}
"""
)
BY_CHILD = """
import os, pickle, subprocess, sys, tempfile

CHILD = '''
import importlib.util, pickle, sys
spec = importlib.util.spec_from_file_location("program", {path!r})
program = importlib.util.module_from_spec(spec)
spec.loader.exec_module(program)
with open({result!r}, "wb") as file:
    pickle.dump((program.square(3), type(program).__name__), file)
'''

def evaluate(path):
    with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
        script.write(CHILD.format(path=path, result=script.name + ".out"))
        script.flush()
        subprocess.run([START, script.name], check=True, timeout=10)
        with open(script.name + ".out", "rb") as file:
            score, kind = pickle.load(file)
    assert kind == "Program", kind
    return {"combined_score": score}
"""
BY_SCRIPT = """
import subprocess, sys

def evaluate(path):
    done = subprocess.run([START, path, "3"], capture_output=True, text=True, timeout=10)
    assert done.returncode == 5, done.stderr
    assert "Read-only" in done.stderr or "denied" in done.stderr, done.stderr
    return {"combined_score": int(done.stdout)}
"""
SCRIPT = """
import sys
try:
    open("/tmp/left_behind", "w")
except OSError as error:
    print(error, file=sys.stderr)
if __name__ == "__main__":
    print(int(sys.argv[1]) ** 2)
    sys.exit(5)
"""


@pytest.mark.parametrize(
    "evaluator",
    [
        BY_NAME,
        BY_IMPORTLIB,
        BY_IMPORTLIBS_IMPORT,
        BY_STATEMENT,
        BY_COPY,
        BY_CHILD.replace("START", "sys.executable"),
        BY_CHILD.replace("START", "'python3'"),
    ],
)
def test_every_usual_way_of_loading_keeps_the_program_apart(process: Sandbox, evaluator: str) -> None:
    program = HONEST + "import os\nprint('I am', os.getpid())\n"
    reply = evaluate(process, evaluator, program)
    assert reply["failure"] is None, reply
    assert reply["stages"][0]["metrics"] == {"combined_score": 9}
    assert "I am" in reply["program_output"]
    assert "I am" not in reply["output"]


@pytest.mark.parametrize("start", ["sys.executable", "'python'"])
def test_a_program_started_as_a_script_runs_confined(process: Sandbox, start: str) -> None:
    assert metrics(process, BY_SCRIPT.replace("START", start), SCRIPT) == {"combined_score": 9}


def test_an_honest_program_is_judged_in_every_sandbox(sandbox: Sandbox) -> None:
    for trusting in (False, True):
        reply = evaluate(sandbox, SQUARES, trusting=trusting)
        assert reply["failure"] is None
        assert reply["stages"][0]["metrics"] == {"combined_score": 1.0}
        assert reply["peak_memory_mb"] > 0
    assert metrics(sandbox, BY_CHILD.replace("START", "sys.executable")) == {"combined_score": 9}
    assert metrics(sandbox, BY_SCRIPT.replace("START", "sys.executable"), SCRIPT) == {"combined_score": 9}


VALUES = """
values = [None, True, 7, -(2**70), 1.5, float("inf"), 2j, "e\\u0301", b"x", [1, [2]], (1, (2,)), {"a": {1: 2}}, {1, 2},
          frozenset("a"), range(3), slice(1, None), np.float32(2.5), np.bool_(True), np.int8(-1)]
for value in values:
    back = program.same(value)
    assert type(back) is type(value) and back == value, (value, back)
for value in [np.arange(6.0).reshape(2, 3).T, np.zeros((0, 2), np.int16), np.array(["ab", "c"]), np.array([True]),
              np.array([1, "a", None], object), np.array("2020-01-01", "M8[D]")]:
    back = program.same(value)
    assert back.dtype == value.dtype and back.shape == value.shape and (back == value).all(), (value, back)
assert np.isnan(program.same(float("nan")))
assert program.drawn(np.random.default_rng(5)) == np.random.default_rng(5).random()
assert program.applied(np.sin, 2.0) == np.sin(2.0) and program.applied(abs, -2) == 2
return {"combined_score": 1}
"""
SAME = "def same(x): return x\ndef drawn(rng): return rng.random()\ndef applied(f, x): return f(x)\n"


def test_plain_data_and_arrays_come_back_as_they_were(sandbox: Sandbox) -> None:
    assert metrics(sandbox, asking(VALUES), SAME) == {"combined_score": 1}


OBJECTS = """
solver = program.Solver(scale=3)
assert solver.scale == 3 and solver.solve(2) == 6 and not hasattr(solver, "nothing")
solver.scale = 5
assert solver.solve(2) == 10 and list(solver) == [1, 2] and len(solver) == 2 and solver["k"] == "k!"
assert program.passes(solver) and program.apply(lambda x: x + 1, 4) == 5
assert program.LIMIT == 9 and callable(program.passes) and not hasattr(program, "missing")
program.LIMIT = 11
assert program.limit() == 11 and program.point().y == 2 and program.point() == (1, 2)
assert [one for one in program.count()] == [0, 1, 2] and program.__doc__ == "What it does."
minimiser = program.Minimiser(lambda x: (x - 3) ** 2)
assert minimiser.best([1, 3, 4]) == 3
return {"combined_score": 1}
"""
OFFERED = '''"""What it does."""
from collections import namedtuple
LIMIT = 9
class Solver:
    def __init__(self, scale): self.scale = scale
    def solve(self, x): return x * self.scale
    def __iter__(self): return iter([1, 2])
    def __len__(self): return 2
    def __getitem__(self, key): return key + "!"
class Minimiser:
    def __init__(self, cost): self.cost = cost
    def best(self, among): return min(among, key=self.cost)
def passes(solver): return isinstance(solver, Solver)
def apply(function, x): return function(x)
def limit(): return LIMIT
def point(): return namedtuple("Point", "x y")(1, 2)
def count(): yield from range(3)
'''


def test_objects_functions_and_attributes_work_from_afar(process: Sandbox) -> None:
    assert metrics(process, asking(OBJECTS), OFFERED) == {"combined_score": 1}


ERRORS = """
import traceback
try:
    program.fail()
except KeyError as error:
    said = traceback.format_exc()
    assert error.args == ("who",) and 'raise KeyError("who")' in said and "initial_program.py" in said, said
try:
    program.own()
except ValueError as error:
    assert str(error) == "OddError: odd", error
try:
    program.leave()
except RuntimeError as error:
    assert "SystemExit" in str(error)
return {"combined_score": program.fine()}
"""
FAILING = """
class OddError(ValueError): pass
def fail(): raise KeyError("who")
def own(): raise OddError("odd")
def leave(): raise SystemExit(0)
def fine(): return 1
"""


def test_exceptions_arrive_as_what_they_were_with_the_programs_lines(process: Sandbox) -> None:
    assert metrics(process, asking(ERRORS), FAILING) == {"combined_score": 1}


def test_results_artifacts_and_odd_metrics_are_understood(process: Sandbox) -> None:
    evaluator = (
        "import numpy as np\nfrom openevolve.evaluation_result import EvaluationResult\n"
        "def evaluate(path):\n"
        "    found = {'combined_score': np.float32(0.5), 'ok': True, 'bad': float('nan'), 'why': 'text', 'list': [1]}\n"
        "    return EvaluationResult(metrics=found, artifacts={'log': b'abc', 'long': 'x' * 10**6})\n"
        "def nested(path): return {'metrics': {'combined_score': 1}, 'artifacts': {'log': 'n'}}\n"
        "def flat(path): return {'combined_score': 2, 'artifacts': {'log': {'a': 1}}}\n"
    )
    reply = evaluate(process, evaluator, stages=[{"function": name} for name in ("evaluate", "nested", "flat")])
    first, second, third = reply["stages"]
    assert first["metrics"] == {"combined_score": 0.5, "ok": 1, "bad": "nan", "why": "text"}
    assert first["artifacts"]["log"] == "abc"
    assert first["artifacts"]["list"] == "[1]"
    assert len(first["artifacts"]["long"]) < 10**5
    assert (second["metrics"], second["artifacts"]) == ({"combined_score": 1}, {"log": "n"})
    assert (third["metrics"], third["artifacts"]) == ({"combined_score": 2}, {"log": '{"a": 1}'})


def test_a_stage_below_its_threshold_is_the_last(process: Sandbox) -> None:
    evaluator = "def first(path): return {'combined_score': 0.4, 'other': 2}\ndef second(path): return {'x': 1}\n"
    for bar, metric, run in ((0.5, "combined_score", 1), (0.3, "combined_score", 2), (2, "other", 2), (0, "none", 1)):
        stages = [{"function": "first", "at_least": bar, "metric": metric}, {"function": "second"}]
        reply = evaluate(process, evaluator, stages=stages)
        assert len(reply["stages"]) == run
        assert reply["failure"] is None


def test_an_evaluation_can_be_repeated_and_neither_side_foresees_the_other(process: Sandbox) -> None:
    program = "import random\nimport numpy as np\ndef draw(): return random.random(), np.random.rand(), hash('a')\n"
    body = "import random\none, two, three = program.draw()\n"
    body += "return {'one': one, 'two': two, 'three': str(three), 'own': random.random(), 'array': np.random.rand()}"
    first, again, other = (metrics(process, asking(body), program, seed=seed) for seed in (5, 5, 6))
    assert first == again
    assert first["one"] != other["one"]
    assert len({first[name] for name in ("one", "two", "own", "array")}) == 4


def test_other_files_of_task_and_program_are_at_hand(process: Sandbox) -> None:
    evaluator = asking(
        "import reference\ndata = open('data.txt').read()\n"
        "return {'combined_score': program.square(reference.SIDE), 'data': len(data)}"
    )
    program = "from sums import times\ndef square(x): return times(x, x)\n"
    extra = {"reference.py": "SIDE = 4\n", "data.txt": "abc"}
    files = {"sums.py": "def times(a, b): return a * b\n"}
    assert metrics(process, evaluator, program, trusted=extra, files=files) == {"combined_score": 16, "data": 3}


# ---- whose fault


@pytest.mark.parametrize(
    ("evaluator", "words"),
    [
        ("def evaluate(path:\n", "evaluator.py does not load: SyntaxError"),
        ("import no_such_module\n", "needs the module `no_such_module`, which the sandbox lacks"),
        ("def judge(path): return {}\n", "no function `evaluate`; it has judge"),
        ("def evaluate(path):\n    return 1 / 0\n", "ZeroDivisionError: division by zero (line 2 of evaluator.py"),
        ("def evaluate(path): return None\n", "returned no metrics: a NoneType"),
        ("import os\ndef evaluate(path): os._exit(3)\n", "ended before it was done: exit code 3"),
    ],
)
def test_a_broken_evaluator_is_the_tasks_fault(process: Sandbox, evaluator: str, words: str) -> None:
    kind, message = failure(process, evaluator)
    assert kind == "evaluator"
    assert words in message


@pytest.mark.parametrize("trusting", [False, True])
def test_what_a_program_makes_an_evaluator_raise_is_the_programs_fault(process: Sandbox, trusting: bool) -> None:
    for program, words in (
        ("def square(:\n", "SyntaxError"),
        ("import no_such_module\n", "no_such_module"),
        ("def square(x): return None\n", "TypeError"),
        ("def square(x): return x.nothing\n", "AttributeError"),
        ("", "AttributeError"),
    ):
        evaluator = asking("return {'combined_score': program.square(3) + 1}")
        kind, message = failure(process, evaluator, program, trusting=trusting)
        assert (kind, words in message) == ("program", True), message


@pytest.mark.parametrize(
    ("act", "kind", "words"),
    [
        ("os._exit(0)", "died", "ended its own process (exit code 0)"),
        ("os.fork()", "died", "system call"),
        ("os.kill(os.getppid(), 9)", "died", "system call"),
        ("os.closerange(0, 20)", "died", "ended its own process"),
        ("ctypes.string_at(8)", "died", "SIGSEGV"),
        ("bytearray(2**40)", "memory", "MemoryError"),
        ("[x := []] + [x.append(bytes(2**20)) for _ in range(2000)]", "memory", "MemoryError"),
        ("square(1)", "program", "RecursionError"),
        ("os.write(3, struct.pack('<I', 2**31))", "too_much", "limit"),
        ("os.write(3, struct.pack('<I', 9) + b'nonsense!')", "program", "no answer"),
        ("answer(bytes(2**27))", "program", "too much"),
        ("answer([0] * 3_000_000)", "program", "too many"),
        ("answer(nested())", "program", "nested"),
        ("time.sleep(60)", "timeout", "did not end within 1.5 s"),
        ("forever()", "timeout", "did not end within 1.5 s"),
        ("print_forever()", "timeout", "did not end within 1.5 s"),
    ],
)
def test_a_program_that_misbehaves_costs_only_itself(process: Sandbox, act: str, kind: str, words: str) -> None:
    program = f"""
import ctypes, os, struct, time
def answer(x): return x
def nested():
    made = []
    for _ in range(500): made = [made]
    return made
def forever():
    while True: pass
def print_forever():
    while True: print("x" * 1000)
def square(x):
    return {act}
"""
    seconds = 1.5 if kind == "timeout" else 20
    started = time.monotonic()
    said = failure(process, asking("return {'combined_score': program.square(3)}"), program, seconds=seconds)
    assert said[0] == kind, said
    assert words in said[1]
    if kind == "timeout":
        assert time.monotonic() - started < 15


# ---- cheats

CHEATS = {
    "patches what it and the evaluator share": """
import builtins, json, random, sys
random.randrange = lambda *a: 0
builtins.sum = lambda it: 20
for name, module in list(sys.modules.items()):
    if name.startswith("referee"):
        for key in list(vars(module)):
            if type(vars(module)[key]).__name__ == "function":
                setattr(module, key, lambda *a, **k: 1.0)
def square(x): return -1
""",
    "answers ahead": """
import os
def square(x):
    answer = b"t" + (2).to_bytes(4, "little") + b"s" + (5).to_bytes(4, "little") + b"value" + b"T"
    os.write(3, (len(answer).to_bytes(4, "little") + answer) * 50)
    return True
""",
    "an object that equals everything": """
class Any(int):
    def __eq__(self, other): return True
    def __hash__(self): return 1
class Other:
    def __eq__(self, other): return True
    def __float__(self): return 1.0
    def __array__(self, *a, **k): import numpy; return numpy.ones(1)
    def __mul__(self, other): return other
    __rmul__ = __radd__ = __add__ = __mul__
def square(x): return Any(-1) if x % 2 else Other()
""",
    "a dishonest array interface": """
class Pointer:
    @property
    def __array_interface__(self): return {"data": (4096, False), "shape": (8,), "typestr": "<f8", "version": 3}
    def __getattr__(self, name): return 1
def square(x): return Pointer()
""",
    "looks for the evaluator": """
import gc, glob, os, sys
found = [name for top in ("/tmp/evaluator", "/run", os.path.dirname(os.path.dirname(__file__)))
         for here, _, names in os.walk(top) for name in names
         if name in ("evaluator.py", ".broker") and "/evaluator" in here]
seen = str([*sys.argv, *os.environ.items(), *sys.modules])
for pid in (os.getppid(), os.getpid()):
    for what in ("mem", "environ", "maps", "fd/0", "cwd/evaluator.py"):
        try: seen += open(f"/proc/{pid}/{what}", "rb").read(100).decode(errors="replace")
        except OSError: pass
def square(x): return x * x if found or "EVALUATOR_KNOWS" in seen else -1
""",
    "writes beside itself": """
import os
def square(x):
    for name in (__file__, os.path.join(os.path.dirname(__file__), "evaluator.py"), "evaluator.py"):
        try: open(name, "w").write("def evaluate(path): return {'combined_score': 1.0}")
        except OSError: continue
        return x * x
    return -1
""",
    "unpickles itself over there": """
import builtins, os
class Bomb:
    def __reduce__(self): return os._exit, (0,)
def square(x): return Bomb()
""",
    "a function instead of a number": """
def square(x): return lambda *a, **k: x * x
""",
    "fails in a way that looks like success": """
class CombinedScore(Exception):
    blame = None
def square(x): raise CombinedScore({"combined_score": 1.0})
""",
}
FEW = ["answers ahead", "looks for the evaluator", "writes beside itself"]
KNOWING = "EVALUATOR_KNOWS = 1\n" + SQUARES


def gained(sandbox: Sandbox, program: str) -> float:
    reply = evaluate(sandbox, KNOWING, program)
    assert reply["failure"] is None or reply["failure"]["kind"] in {"program", "died"}, reply
    return max((stage["metrics"]["combined_score"] for stage in reply["stages"]), default=0.0)


def needing_another_user(name: str) -> Any:
    """What no user but root's own can keep from a candidate is not claimed elsewhere."""
    mark = pytest.mark.skipif(os.getuid() != 0, reason="only a referee that is root keeps its evaluator's files apart")
    return pytest.param(name, marks=mark if name == "looks for the evaluator" else ())


@pytest.mark.parametrize("name", [needing_another_user(name) for name in CHEATS])
def test_a_cheat_gains_nothing(process: Sandbox, name: str) -> None:
    assert gained(process, CHEATS[name]) == 0


@pytest.mark.parametrize("name", [needing_another_user(name) for name in FEW])
def test_a_cheat_gains_nothing_in_any_sandbox(sandbox: Sandbox, name: str) -> None:
    assert gained(sandbox, CHEATS[name]) == 0


HANDLES = """
odd = program.odd()
assert (odd == 1) is False and (odd == odd) is True and bool(odd) is True and repr(odd) == "<an object of the program>"
for act in (float, int, complex, np.float64, lambda x: x + 1, lambda x: x < 1, lambda x: np.ones(2) @ x):
    try:
        act(odd)
    except (TypeError, ValueError):
        continue
    raise AssertionError(act)
assert not hasattr(odd, "__array__") and not hasattr(odd, "__array_interface__") and not hasattr(odd, "__reduce_x__")
assert np.array([True, True]).sum() == program.truth().sum(), program.truth().sum()
assert type(program.number()) is int and type(program.text()) is str and type(program.table()) is dict
return {"combined_score": 1}
"""
LYING = """
import numpy as np
class Odd:
    def __eq__(self, other): return True
    def __float__(self): return 1.0
    def __bool__(self): return False
    def __repr__(self): return "1.0"
    def __array__(self, *a, **k): return np.ones(1)
    def __getattr__(self, name): return lambda *a, **k: 1
    def __lt__(self, other): return True
class Number(int):
    def __eq__(self, other): return True
class Text(str): pass
class Table(dict):
    def __getitem__(self, key): return 1
def odd(): return Odd()
def number(): return Number(4)
def text(): return Text("a")
def table(): return Table(a=2)
def truth(): return np.array([7, 9], np.uint8).view(bool)
"""


def test_what_an_object_claims_of_itself_decides_nothing(process: Sandbox) -> None:
    assert metrics(process, asking(HANDLES), LYING) == {"combined_score": 1}


TWICE = """
given = program.given()
if not all(point <= 1 for point in given.points) or not all(one <= 1 for one in given):
    return {"combined_score": 0}
return {"combined_score": sum(given.points) + sum(given) - 0.6}
"""
ANOTHER_ANSWER = """
class Given:
    asked = dict(iteration=0, points=0)
    def answer(self, what):
        self.asked[what] += 1
        return [0.1] * 3 if self.asked[what] == 1 else [9.0] * 3
    def __iter__(self): return iter(self.answer("iteration"))
    @property
    def points(self): return self.answer("points")
def given(): return Given()
"""
SUMMED = """
given = program.given()
if not all(0 <= given[place] <= 1 for place in range(len(given))):
    return {"combined_score": 0}
return {"combined_score": np.sum(given)}
"""
A_SUM_OF_ITS_OWN = """
class Given:
    def __len__(self): return 3
    def __getitem__(self, place): return 0.1
    def sum(self, *a, **k): return 9.0
def given(): return Given()
"""
MAPPED = """
found = list(map(program.square, [2, 3]))
return {"combined_score": float(all(a == b * b for a, b in zip(found, [2, 3])))}
"""
AN_END = """
def square(x):
    raise StopIteration
"""


@pytest.mark.parametrize(("body", "program"), [(TWICE, ANOTHER_ANSWER), (SUMMED, A_SUM_OF_ITS_OWN), (MAPPED, AN_END)])
def test_what_was_checked_is_what_counts(process: Sandbox, body: str, program: str) -> None:
    reply = evaluate(process, asking(body), program)
    assert max((stage["metrics"]["combined_score"] for stage in reply["stages"]), default=0) < 0.01, reply


def test_an_object_is_read_anew_once_the_program_was_at_work(process: Sandbox) -> None:
    body = """
counter = program.Counter()
before = counter.count, list(counter)
steps = counter.steps()
assert next(steps) == 1 and counter.count == 1 and list(steps) == [2] and list(steps) == []
counter.count = 5
assert counter.count == 5
def seen(): return counter.count
assert counter.told(seen) == [6, 7] and counter.count == 7
return {"combined_score": 1, "text": str(before)}
"""
    program = """
class Counter:
    count = 0
    def __iter__(self): return iter([self.count])
    def steps(self):
        for _ in range(2):
            self.count += 1
            yield self.count
    def told(self, seen):
        found = []
        for _ in range(2):
            self.count += 1
            found.append(seen())
        return found
"""
    assert metrics(process, asking(body), program) == {"combined_score": 1, "text": "(0, [0])"}


def test_a_file_beside_the_program_is_not_the_evaluators(process: Sandbox) -> None:
    evaluator = (
        "import os, sys\ndef evaluate(path):\n    sys.path.insert(0, os.path.dirname(path))\n    import reference\n"
    )
    evaluator += "    return {'combined_score': reference.SIDE}\n"
    own, others = {"reference.py": "SIDE = 1\n"}, {"reference.py": "SIDE = 99\n"}
    assert metrics(process, evaluator, trusted=own, files=others) == {"combined_score": 1}


def test_half_a_surrogate_pair_reaches_no_host(process: Sandbox) -> None:
    program = "def text(): return 'a\\ud800b'\ndef fail(): raise ValueError(text())\n"
    told = "return {'combined_score': 1, program.text(): program.text(), 'artifacts': {'log': program.text()}}"
    reply = evaluate(process, asking(told), program)
    assert (reply["stages"][0]["metrics"]["a?b"], reply["stages"][0]["artifacts"]["log"]) == ("a?b", "a?b")
    assert "ValueError: a?b" in failure(process, asking("program.fail()"), program)[1]


# ---- the program's text in the evaluator's process


@pytest.mark.parametrize(
    "body",
    [
        "exec(open(path).read(), space)",
        "exec(compile(open(path).read(), path, 'exec'), space)",
        "exec(open(path).read().replace('x * x', 'x * x * 1'), space)",
        "space.update(runpy.run_path(path))",
        "exec(importlib.machinery.SourceFileLoader('p', path).get_code('p'), space)",
        "module = types.ModuleType('p'); importlib.machinery.SourceFileLoader('p', path).exec_module(module)",
        "subprocess.run(['cat', path])",
        "os.system('cat ' + path)",
        "subprocess.run([REAL, path], env={})",
        "subprocess.run([sys.executable, '-c', open(path).read() + SPAN])",
        "pickle.loads(pickle.dumps(os.system))",
        "eval(load(path).square.__name__)",
    ],
)
def test_the_programs_text_does_not_run_in_the_evaluators_process(process: Sandbox, body: str) -> None:
    evaluator = (
        "import importlib.machinery, os, pickle, runpy, subprocess, sys, types\nREAL = '/usr/bin/python3'\n"
        f"SPAN = 'import os'\n{BY_SPEC}\ndef evaluate(path):\n    space = {{}}\n    try:\n        {body}\n"
        "    except Exception:\n        pass\n    return {'combined_score': 1.0}\n"
    )
    program = HONEST + "def cube(x):\n    total = x * x * x\n    return sum([total, 0, 0 * x]) if x > 3 else total\n"
    kind, message = failure(process, evaluator, program)
    assert kind == "embedded", message
    assert "evaluator" in message


def test_nor_does_a_script_that_holds_it_where_it_has_no_function(process: Sandbox) -> None:
    evaluator = (
        "import os, subprocess, sys\ndef evaluate(path):\n    with open('whole.py', 'w') as file:\n"
        "        file.write(open(path).read() + 'print(SCORE)')\n"
        "    return {'combined_score': float(subprocess.check_output([sys.executable, 'whole.py']))}\n"
    )
    assert failure(process, evaluator, "import os\nSCORE = 1000 + os.getuid()\n")[0] == "embedded"


def test_texts_of_the_evaluators_own_may_be_executed(process: Sandbox) -> None:
    evaluator = asking(
        "import ast, collections, dataclasses\nspace = {}\nexec('y = 2\\ndef z(): return y', space)\n"
        "ast.parse(open(path).read())\ncompile(open(path).read(), path, 'exec')\n"
        "collections.namedtuple('P', 'a b'), dataclasses.make_dataclass('D', ['a'])\n"
        "return {'combined_score': space['z']() + eval('1 + 1')}"
    )
    assert metrics(process, evaluator) == {"combined_score": 4}


def test_a_class_of_the_programs_may_resemble_what_a_library_makes_for_the_evaluator(process: Sandbox) -> None:
    body = "import dataclasses\n@dataclasses.dataclass\nclass Point:\n    x: int\n    y: int\n"
    program = "class Point:\n    def __init__(self, x, y):\n        self.x = x\n        self.y = y\n"
    assert metrics(process, asking(body + "return {'combined_score': program.Point(1, 2).y}"), program)


# ---- giving up

ALARM = """
import signal
class Late(Exception): pass
def late(number, frame): raise Late
signal.signal(signal.SIGALRM, late)
caught = 0
try:
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    program.endless(lambda x: x)
except Late:
    caught = 1
finally:
    signal.setitimer(signal.ITIMER_REAL, 0)
try:
    program.square(2)
except RuntimeError as error:
    return {"combined_score": caught, "said": str(error)}
"""
FUTURE = """
import concurrent.futures
said = []
for patience in (0.3, None, None):
    try:
        with concurrent.futures.ThreadPoolExecutor(max_workers=1) as pool:
            pool.submit(program.endless, lambda x: x).result(timeout=patience)
    except concurrent.futures.TimeoutError:
        said.append("late")
    except RuntimeError as error:
        said.append("over")
return {"combined_score": 1, "said": " ".join(said)}
"""
ENDLESS = """
import time
def square(x): return x * x
def endless(back):
    while True:
        WORK
"""
SWALLOWING = """
        try: back(1)
        except BaseException: pass
"""


@pytest.mark.parametrize("work", ["time.sleep(1)", "pass", SWALLOWING.strip()])
def test_a_call_that_the_evaluator_gives_up_ends_the_program(process: Sandbox, work: str) -> None:
    program = ENDLESS.replace("WORK", work)
    found = metrics(process, asking(ALARM), program)
    assert found == {"combined_score": 1, "said": found["said"]}
    assert "given up by its evaluator" in found["said"]


def test_a_future_that_is_late_does_not_hold_its_executor(process: Sandbox) -> None:
    found = metrics(process, asking(FUTURE), ENDLESS.replace("WORK", "pass"))
    assert found["said"] == "late over over"


ASYNCHRONOUS = """
import asyncio
async def soon():
    call = asyncio.get_running_loop().run_in_executor(None, program.endless, 0)
    try:
        await asyncio.wait_for(call, 0.3)
    except asyncio.TimeoutError:
        return "late"
return {"combined_score": 1, "said": asyncio.run(soon())}
"""


def test_an_asynchronous_call_that_is_late_does_not_hold_its_loop(process: Sandbox) -> None:
    assert metrics(process, asking(ASYNCHRONOUS), ENDLESS.replace("WORK", "pass"))["said"] == "late"


PARALLEL = (
    BY_SPEC
    + """
import multiprocessing

def task(job):
    return load(job[0]).square(job[1])

def endless(path):
    load(path).endless(0)

def evaluate(path):
    with multiprocessing.get_context(WAY).Pool(2) as pool:
        score = sum(pool.map(task, [(path, 2), (path, 3)]))
    child = multiprocessing.get_context(WAY).Process(target=endless, args=(path,))
    child.start()
    child.join(0.2)
    child.terminate()
    child.join()
    return {"combined_score": score, "code": child.exitcode}
"""
)


@pytest.mark.parametrize("way", ["fork", "spawn"])
def test_an_evaluator_may_use_several_processes(process: Sandbox, way: str) -> None:
    program = ENDLESS.replace("WORK", "pass")
    assert metrics(process, PARALLEL.replace("WAY", repr(way)), program) == {"combined_score": 13, "code": -15}


FORKED = """
import multiprocessing
def work(queue, first):
    queue.put([program.square(number) for number in range(first, first + 100)])
forking = multiprocessing.get_context("fork")
queue = forking.Queue()
workers = [forking.Process(target=work, args=(queue, first)) for first in (0, 1000)]
for worker in workers: worker.start()
found = sorted(queue.get(timeout=10) for _ in workers)
for worker in workers: worker.join()
right = [[number * number for number in range(first, first + 100)] for first in (0, 1000)]
return {"combined_score": float(found == right), "own": program.square(4)}
"""


def test_forks_of_an_evaluator_that_has_loaded_its_program_do_not_mix_their_answers(process: Sandbox) -> None:
    assert metrics(process, asking(FORKED)) == {"combined_score": 1, "own": 16}


def test_stages_that_ran_are_kept_when_a_later_one_fails(process: Sandbox) -> None:
    evaluator = "def first(path): return {'combined_score': 1}\ndef endless(path):\n    while True: pass\n"
    stages = [{"function": "first"}, {"function": "endless"}]
    reply = evaluate(process, evaluator, stages=stages, seconds=2.0)
    assert [stage["metrics"] for stage in reply["stages"]] == [{"combined_score": 1}]
    assert reply["failure"]["kind"] == "timeout"


def test_output_is_kept_to_its_end_and_apart(process: Sandbox) -> None:
    program = HONEST + "print('p' * 100_000, 'end of the program')\n"
    reply = evaluate(
        process, asking("print('e' * 100_000, 'end')\nreturn {'combined_score': program.square(1)}"), program
    )
    assert reply["output"].endswith("end\n")
    assert reply["program_output"].endswith("end of the program\n")
    assert max(len(reply["output"]), len(reply["program_output"])) <= 4096


def test_many_processes_of_a_program_are_refused_not_piled_up(process: Sandbox) -> None:
    body = "for _ in range(20):\n    load(path).square(1)\nkept = []\n"
    body += "for _ in range(20):\n    kept.append(load(path))\nreturn {'combined_score': 1}"
    kind, message = failure(process, asking(body))
    assert (kind, "too many" in message) == ("too_much", True)


# ---- trusting


def test_a_trusting_evaluator_has_everything_in_one_process_and_no_way_out(process: Sandbox) -> None:
    evaluator = asking(
        "import subprocess, sys\nspace = {}\nexec(open(path).read(), space)\n"
        "said = subprocess.run([sys.executable, '-c', 'print(1)'], capture_output=True, text=True).stdout\n"
        "return {'combined_score': space['square'](3), 'child': int(said)}"
    )
    assert metrics(process, evaluator, trusting=True) == {"combined_score": 9, "child": 1}


@pytest.mark.parametrize(
    ("act", "kinds"),
    [
        ("os._exit(0)", {"died"}),
        ("os.write(3, b'garbage!' * 9)", {"died", "program"}),
        ("os.write(3, (2**31 - 1).to_bytes(4, 'big') + bytes(2**25))", {"died", "too_much"}),
        ("os.write(3, b'\\0\\0\\0\\2[]')", {"died"}),
        ("bytearray(2**40)", {"memory"}),
        ("time.sleep(60)", {"timeout"}),
    ],
)
def test_a_trusting_evaluation_that_goes_wrong_is_told(process: Sandbox, act: str, kinds: set[str]) -> None:
    evaluator = asking("return {'combined_score': program.square(3)}")
    program = f"import os, time\ndef square(x): {act}\n"
    seconds = 1.5 if kinds == {"timeout"} else 20
    kind, message = failure(process, evaluator, program, trusting=True, seconds=seconds)
    assert kind in kinds, message


def test_the_next_evaluation_finds_nothing_of_the_last(process: Sandbox) -> None:
    leaving = (
        "import os, sys, time\nif not os.fork(): time.sleep(600)\nopen('left', 'w')\ndef square(x): return x * x\n"
    )
    assert evaluate(process, SQUARES, leaving, trusting=True)["failure"] is None
    looking = "import os\ndef square(x): return x * x + sum(name == 'left' for name in os.listdir('.'))\n"
    assert metrics(process, SQUARES, looking, trusting=True) == {"combined_score": 1.0}
