"""Small events and questions to try memories with, drawn from a seed; and texts that are odd."""

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from knowledge.architecture import JSON, Event, Query

MOSTLY = 0.6
ODD_TEXTS = (
    *("", " \n\t", "\x00", "?" * 300, "x" * 8000, "word " * 1500, "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 🧠🗝️ 𐍈", "שלום עולם مرحبا بالعالم"),
    *(
        "zero\u200bwidth\u200djoined\ufeff",
        "a\u0301\u0323" * 40,
        "\u202eright to left\u202c",
        "ẞß İi ﬁ",
        "%s {0} \\N{DASH}",
    ),
    *('{"a": [1, {"b": "]}"}', "```python\nraise SystemExit\n```", "- \n1. \n## \n", "NaN inf -1e999 0/0"),
)
KINDS = ("message", "attempt", "step", "trajectory", "document", "feedback")


def happenings(seed: int, kinds: Sequence[str], count: int) -> "list[Event]":
    """Small events of these kinds in turn, drawn from the seed."""
    from knowledge.architecture import Event, named

    rng = Random(seed)
    names = [named("happening", str(seed), str(number)) for number in range(count)]
    events: list[Event] = []
    for number, name in enumerate(names):
        kind = kinds[number % len(kinds)]
        text, data = _happening(kind, rng)
        parent = names[number - 1] if number and kind in {"step", "attempt", "feedback"} else ""
        actor, scope = rng.choice(("Ana", "Bo", "Chi")), f"s{number // 10}"
        events.append(Event(name, kind, text, 1.7e9 + 60.0 * number, actor, scope, parent, data))
    return events


def _happening(kind: str, rng: Random) -> "tuple[str, dict[str, JSON]]":
    who, place = rng.choice(("Ana", "Bo", "Chi")), rng.choice(("Lisbon", "Oslo", "the lake", "a market"))
    thing, year = rng.choice(("pottery", "a violin", "two cats", "climbing", "rye bread")), rng.randint(1990, 2024)
    task, state = f"kernels/{rng.choice(('matmul', 'softmax'))}", rng.choice(("memory_bound", "compute_bound"))
    technique = rng.choice(("tile", "vectorise", "unroll", "tile + vectorise"))
    feasible, gain = rng.random() < MOSTLY, round(rng.gauss(0.2, 0.4), 3)
    known: dict[str, JSON] = {"task": task, "domain": "kernels", "state": state, "hardware": "a cpu"}
    code = f"void f(int n) {{ for (int i = 0; i < {year}; i++) n += i; }}"
    tried = {**known, "stage": rng.choice(("draft", "refine")), "technique": technique, "feasible": feasible}
    attempt: dict[str, JSON] = {**tried, "code": code} | ({"gain": gain, "score": 1.0 + gain} if feasible else {})
    outcome = f"gained {gain}" if feasible else "failed to build: error: 'x' undeclared"
    rare = " ".join("".join(rng.choices("abdeiklmnorstu", k=5)) for _ in range(4))
    said = rng.choice(
        (f"I took up {thing} in", "My favourite place is now", "Did you ever see", f"They sell {thing} at")
    )
    texts = {
        "message": f"{who}: {said} {place}. {rare}. That was {year}.",
        "attempt": f"On {task} ({state}), {technique} {outcome}.",
        "step": f"Action: search {place} for {thing}. Observation: found {rng.randint(0, 9)} results.",
        "trajectory": f"Task: find {thing} in {place}.\nStep 1: open the map.\nStep 2: ask {who}.\nResult: {outcome}.",
        "document": f"Guide to {thing}. First go to {place}. Always keep receipts. Never run before {year}.",
        "feedback": f"The answer about {thing} was {'right' if feasible else 'wrong'}.",
    }
    labels: dict[str, dict[str, JSON]] = {"attempt": attempt, "trajectory": {**known, "feasible": feasible}}
    return texts[kind], labels.get(kind, {})


def with_text(event: "Event", text: str) -> "dict[str, JSON]":
    """Names are no longer than anyone would make them."""
    return {name: text[:1000] if isinstance(value, str) else value for name, value in event.data.items()}


def questions() -> "list[Query]":
    from knowledge.architecture import Query

    where: dict[str, JSON] = {
        "task": "kernels/matmul",
        "domain": "kernels",
        "state": "memory_bound",
        "hardware": "a cpu",
    }
    return [
        Query("Who took up pottery in Lisbon?", 1.8e9, "qa", k=20),
        Query("Make matmul faster", 1.8e9, "refine", context="for (int i", scope="s1", where=where),
        Query("A first softmax kernel", 1.8e9, "draft", k=3, where={**where, "task": "kernels/softmax"}),
        Query("search the lake", 1.8e9, "step", scope="s2", role="Ana", budget_tokens=40),
        Query("find climbing in Oslo", 1.8e9, "begin", k=1),
        Query("", 1.8e9, "reflect", k=50),
    ]
