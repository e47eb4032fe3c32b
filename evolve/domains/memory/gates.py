"""What an architecture must be before it is examined: it keeps to the protocol, and says the same when asked again.

Nothing here can be told from an exam. Odd events and an empty bank come first; the rest is an exam that counts, taken
three times: twice from the beginning, and once by a process that finds the bank as the first one left it.
"""

from collections.abc import Iterator, Sequence

from evolve.domains.memory.confined import LIMITS, Answer, Step, conversed, replayed, sat
from evolve.domains.memory.exam import Exam, Sitting, Tick, steps
from evolve.types import Limits, Sandbox
from knowledge.architecture import JSON, DesignError, Event, Query, Receipt, Trigger
from knowledge.design import Design

SAID = (
    "Anna: Zażółć gęślą jaźń, 記憶 — naïve café? \U0001f9e0",
    "",
    "x" * 20_000,
    "Anna: I moved to the harbour last spring.",
    "Anna: I moved to the harbour last spring.",
    "!?…",
    "Ben: for (int i = 0; i < n; i++) s += a[i];\n\tdef f(x):\n\t\treturn x\n",
    "\u0627\u0644\u0630\u0627\u0643\u0631\u0629 \u202e\u0000 zero",
)
KINDS = ("message", "step", "attempt", "document", "feedback", "trajectory")
NOW = 1_700_000_000.0


def contract(design: Design, sandbox: Sandbox, *, limits: Limits = LIMITS) -> None:
    """An empty bank, odd texts, every kind of event, feedback. Raises DesignError."""
    course = list(_odd())
    replayed(course, conversed(design, course, sandbox, limits=limits))


def _odd() -> Iterator[Step]:
    asked = [Query(text, NOW, k=5) for text in ("where did Anna move?", "", "記憶 \U0001f9e0", "x" * 5000)]
    yield from asked
    yield Tick(NOW - 9e5)
    for number, text in enumerate(SAID * 3):
        kind = KINDS[number % len(KINDS)]
        data: dict[str, JSON] = {"task": "t", "technique": "tiling", "feasible": bool(number % 2), "gain": 0.1}
        actor, scope = text.partition(":")[0][:20], f"s{number // 6}"
        yield Event(f"e{number * 7919:06x}", kind, text, NOW - 9e5 + number, actor, scope, data=data)
    yield Trigger("feedback", Receipt(asked[0], ()), -1.0)
    yield Tick(NOW - 1, close=True)
    yield from (*asked, asked[0]._replace(k=1), asked[0]._replace(k=200, stage="refine", scope="s1"))


def consistent(
    design: Design, exam: Exam, sandbox: Sandbox, *, fresh: bool = False, limits: Limits = LIMITS
) -> Sitting:
    """The first sitting of three that agree. Raises DesignError for an architecture whose answers do not."""
    course = list(steps(exam))
    first, again = (conversed(design, course, sandbox, fresh=fresh, limits=limits) for _ in range(2))
    sitting = sat(exam, first)
    _agreed(course, first, again, "was told and asked the same a second time")
    written = sum(not isinstance(step, Query) for step in course)
    restarted = conversed(design, course, sandbox, kept=first[:written], limits=limits)
    asked = slice(written, None)
    _agreed(course[asked], first[asked], restarted[asked], "was started anew on the bank that it had made")
    return sitting


def _agreed(course: Sequence[Step], first: Sequence[Answer], again: Sequence[Answer], when: str) -> None:
    for number, (step, one, other) in enumerate(zip(course, first, again, strict=True), start=1):
        if one.told != other.told:
            method = {Event: "store", Query: "retrieve"}.get(type(step), "manage")
            raise DesignError(
                method,
                f"it answered otherwise when it {when} (message {number}): keep what matters in the bank, draw only "
                "from ctx.rng, and let nothing hang on the order of a set",
            )
