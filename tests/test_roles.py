"""Every role keeps to one contract: keys, one repair, harmless failure, data that gives no orders, short prompts."""

import json
from random import Random

from agents.advice import Advice, Idea
from agents.analyst import Analyst
from agents.architect import Architect
from agents.architect import Case as Redesigned
from agents.coder import Coder
from agents.curator import Curator
from agents.inspector import Inspector
from agents.plan import Case, Observation
from agents.writer import Brief
from evolve.testing import HOSTILE, ORDER, RoleContract, Told, unfenced
from evolve.types import REFINE, Attempt, Candidate, Evaluation, Experience, Gates, Model, Profile, Recalled, Task
from knowledge.design import seeds
from knowledge.guides import Counsel, Guide
from knowledge.lore import Passage
from knowledge.techniques import Statistics

SEED = "void kernel(float *x, int n) {\n    for (int i = 0; i < n; i++) x[i] *= 2.0f;\n}\n"
TASK = Task(id="kernels/scale", domain="kernels", prompt="Scale a vector.", files={"kernel.c": SEED})
CODE = "void kernel(float *x, int n) {\n    for (int i = 0; i < n; i++) x[i] += x[i];\n}\n"


def attempt(position: int, data: str, *, score: float | None = 2.0, parent: str | None = None) -> Attempt:
    """One whose every text that others write is `data`, but for its technique, which the reply's parser keeps short."""
    text = f'{CODE}char *s = R"({data})";\n'
    return Attempt(
        id=f"run/{position}",
        task=TASK.id,
        position=position,
        candidate=Candidate(files={"kernel.c": text}, technique="tiling", parent=parent),
        evaluation=Evaluation(
            gates=Gates(authentic=True, builds=True, correct=score is not None),
            score=score,
            feedback=f"{data}\nline 2 of it",
            profile=Profile(bottleneck="not_vectorized", evidence=data, hardware="a cpu"),
        ),
        gain=0.7 if score is not None else None,
    )


def guide(data: str) -> Guide:
    hopes = {f"{data[:40]} {number}": 0.5 for number in range(30)} if data else {"unroll": 0.5}
    return Guide(domain="kernels", state="not_vectorized", text=data, hopes=hopes, stops={data[:60] or "tile": data})


class TestCoder(RoleContract):
    role = "coder"
    reply = f"```c\n{CODE}```\ntechnique: strength reduction"

    def ask(self, model: Model, key: str, data: str) -> Told:
        recalled = Recalled(Experience(id="exp-1", kind="trace", text=data, payload=data), 0.5, 0.5, data)
        brief = Brief(
            attempt=key,
            task=TASK,
            stage=REFINE,
            parent=attempt(1, data),
            last=attempt(2, data, score=None),
            recalled=[recalled] * 4,
            tried=frozenset(),
            rng=Random(1),
            advice=Advice("not_vectorized", data, (Idea("unroll", 0.5, data),), (Idea("tiling", 0.0, data),), "unroll"),
            lore=[Passage("SIMD", data, "x")] * 4,
            children=[attempt(number, data, score=None) for number in (2, 3, 4)],
        )
        draft = Coder(model).write(brief)
        return Told(bool(draft.files), draft.problem, draft.cost)


class TestAnalyst(RoleContract):
    role = "analyst"
    reply = json.dumps(
        {
            "state": "not_vectorized",
            "confidence": 0.9,
            "held_back": "a scalar loop",
            "ideas": [{"technique": "simd", "weight": 0.8, "why": "the loop is scalar"}],
        }
    )

    def ask(self, model: Model, key: str, data: str) -> Told:
        seen = {f"{data[:50]}{number}": Statistics(3, 1, 2, 3.0, 1.0, 2.0, 0.8, 0.4) for number in range(40)}
        counsel = {f"state_{number}": Counsel(guide(data), seen) for number in range(60)}
        counsel["not_vectorized"] = Counsel(guide(data), seen)
        children = [attempt(number, data, score=None) for number in range(2, 60)]
        case = Case(TASK, attempt(1, data), children, counsel, [data[:300]] * 50)
        advice = Analyst(model).advise(key, case)
        return Told(bool(advice.ideas), "" if advice.ideas else "no ideas", advice.cost)


class TestRevision(RoleContract):
    role = "analyst_revision"
    reply = json.dumps({"analysis": "", "adjust": [], "new": [], "stop": [], "text": "Prefer simd."})

    def ask(self, model: Model, key: str, data: str) -> Told:
        seen = [Observation(f"run/{number}", f"tiling {number}", 0.5, None, data or "no") for number in range(60)]
        revised = Analyst(model).revise(key, guide(data), seen)
        return Told(revised.guide != guide(data), revised.problem, revised.cost)


class TestInspector(RoleContract):
    role = "inspector"
    reply = json.dumps({"verdict": "reject", "category": "keeps_state", "line": "x[i] += x[i];", "reason": "it keeps"})

    def ask(self, model: Model, key: str, data: str) -> Told:
        finding = Inspector(model).inspect(key, TASK, attempt(1, data).candidate)
        return Told(finding.rejected, finding.problem, finding.cost)


class TestCurator(RoleContract):
    role = "curator"
    reply = json.dumps({"insights": [{"text": "Tiling fails on scaling.", "attempts": ["a1", "a2"]}]})

    def ask(self, model: Model, key: str, data: str) -> Told:
        attempts = [attempt(number, data, score=None) for number in range(1, 60)]
        known = [Experience(id=f"ins-{number}", kind="insight", text=data or f"known {number}") for number in range(60)]
        curated = Curator(model).distil(key, "kernels", attempts, known)
        return Told(bool(curated.insights), curated.problem, curated.cost)


class TestArchitect(RoleContract):
    role = "architect"
    reply = (
        f"```python\n{seeds()['bm25'].source.replace('query.k, k1', '2 * query.k, k1')}```\ntechnique: deeper search"
    )

    def ask(self, model: Model, key: str, data: str) -> Told:
        parent = seeds()["bm25"]
        parent = parent._replace(source=f'{parent.source}\nNOTE = r"""{data}"""\n')
        case = Redesigned(parent, "recall@10 0.61", "retrieve", data or "nothing", (data,) * 60)
        made = Architect(model).redesign(key, case)
        return Told(made.design is not None, made.problem, made.cost)


def test_what_stands_outside_of_fences_is_told_from_what_is_inside() -> None:
    fence = "`````"
    assert ORDER not in unfenced(f"The code:\n{fence}c\n{HOSTILE}\n{fence}\nmore")
    assert ORDER in unfenced(f"The code:\n```c\n{HOSTILE}\n```\nmore")
    assert unfenced(f"a\n{fence}\nb\n{fence}\nc") == "a\nc"
