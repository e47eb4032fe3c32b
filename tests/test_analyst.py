"""The analyst: which state a reply names, what is drawn from its advice, and what a guide becomes.

Several tests are named after what the released KernelBlaster does wrong.
"""

import json
import math
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from agents.advice import Advice, Idea
from agents.analyst import INHERITED, MOST_STATES, Analyst
from agents.model import ScriptedModel
from agents.plan import Case, Observation, evaluated, founded, from_statistics, observation, select
from evolve.types import Attempt, Candidate, Evaluation, Gates, Profile, Task
from knowledge.guides import Counsel, Guide
from knowledge.memory import Memory
from knowledge.techniques import Statistics

TASK = Task(id="kernels/sum", domain="kernels", prompt="Add up all elements.", files={"kernel.c": "int seed;"})
STATE = "dependency_chain"


def judged(
    name: str = "run/1", *, technique: str = "tile", gain: float | None = 0.2, state: str = STATE, feedback: str = ""
) -> Attempt:
    feasible = gain is not None
    return Attempt(
        id=name,
        task=TASK.id,
        position=int(name.rpartition("/")[2]),
        candidate=Candidate(files={"kernel.c": f"int x; // {name}\nint y;"}, technique=technique),
        evaluation=Evaluation(
            gates=Gates(authentic=True, builds=True, correct=feasible),
            score=1.5 if feasible else None,
            feedback=feedback,
            profile=Profile(bottleneck=state, evidence="line 3 waits for the sum", hardware="cpu"),
        ),
        gain=gain,
    )


def tried(*gains: float | None) -> Statistics:
    seen = Statistics()
    for gain in gains:
        seen = seen.seen(feasible=gain is not None, gain=gain, members=1)
    return seen


def known(state: str = STATE, *, hopes: Any = None, stops: Any = None, **statistics: Statistics) -> dict[str, Counsel]:
    guide = Guide(domain="kernels", state=state, hardware="cpu", hopes=hopes or {}, stops=stops or {})
    return {state: Counsel(guide, statistics)}


def answer(**fields: object) -> str:
    told = {
        "state": STATE,
        "confidence": 0.9,
        "held_back": "each addition waits for the last",
        "ideas": [
            {"technique": "Multiple accumulators", "weight": 0.8, "why": "breaks the chain"},
            {"technique": "tile", "weight": 0.1},
        ],
        "stop": [{"technique": "prefetch", "why": "brought nothing"}],
    }
    return json.dumps({**told, **fields})


def advice(case: Case, **fields: object) -> Advice:
    return Analyst(ScriptedModel([answer(**fields)])).advise("run/7", case)


# -- advice


def test_a_reply_becomes_a_textual_gradient() -> None:
    given = advice(Case(TASK, judged()))
    assert given.state == STATE
    assert given.held_back == "each addition waits for the last"
    assert given.ideas[0] == Idea("multiple accumulators", 0.8, "breaks the chain")
    assert given.stop == (Idea("prefetch", 0.0, "brought nothing"),)
    assert given.cost.completion_tokens > 0
    assert not given.chosen


def test_an_unusable_reply_is_the_judges_own_state_and_no_idea() -> None:
    given = Analyst(ScriptedModel(["no", '{"state": 3}'])).advise("run/7", Case(TASK, judged()))
    assert (given.state, given.ideas, given.chosen) == (STATE, (), "")
    assert given.cost.prompt_tokens > 0
    assert select(given, Random(1)) == given


def test_the_model_sees_the_program_the_profile_the_guide_the_figures_and_what_was_tried() -> None:
    counsel = known(hopes={"pack": 0.4}, stops={"prefetch": "no misses"}, tile=tried(0.7, None))
    counsel |= known("branchy", mask=tried(0.3))
    child = judged("run/2", technique="unroll", gain=None, feedback="wrong at [3]\nmore")
    model = ScriptedModel([answer()])
    Analyst(model).advise("run/7", Case(TASK, judged(), [child], counsel, ["tile", "simd"]))
    told = model.prompts[0].messages[1].content
    for part in (
        "int y;", "line 3 waits for the sum", "tile: gained 2.01x on average (tried 2 times, 1 failed)",
        "pack: hoped for, weight 0.40", "stop prefetch: no misses", "unroll: failed: wrong at [3]", "branchy: mask",
        "tile, simd",
    ):  # fmt: skip
        assert part in told, part
    assert "// run/1" not in told


# -- states


@pytest.mark.parametrize("said", ["dependency_chain", "Dependency chain", " DEPENDENCY-CHAIN. "])
def test_a_known_state_is_known_however_it_is_written(said: str) -> None:
    assert advice(Case(TASK, judged()), state=said).state == STATE


def test_a_state_that_a_domain_writes_in_its_own_way_is_known_by_that_name() -> None:
    assert advice(Case(TASK, judged(state="L2-bound")), state="l2 bound").state == "L2-bound"


def test_without_confidence_a_new_state_inherits_from_the_nearest_with_less_hope() -> None:
    counsel = known(hopes={"pack": 0.5, "tile": 0.9}, simd=tried(1.0, 1.0))
    given = advice(
        Case(TASK, judged(), counsel=counsel), confidence=0.4, new_state="Horizontal sum!", ideas=[idea("tile", 0.3)]
    )
    assert given.state == "horizontal_sum"
    weights = {each.technique: each.weight for each in given.ideas}
    expected = math.tanh(tried(1.0, 1.0).expected)
    assert weights == pytest.approx({"tile": 0.3, "pack": INHERITED * 0.5, "simd": INHERITED * expected})


def test_what_is_known_of_a_state_that_only_an_analyst_sees_reaches_the_advice_of_the_next() -> None:
    """Its guide is not in the prompt, which has that of the state that the judge sees."""
    counsel = known() | known("horizontal_sum", hopes={"pack": 0.5, "tile": 0.9}, simd=tried(1.0, 1.0))
    given = advice(Case(TASK, judged(), counsel=counsel), state="horizontal_sum", ideas=[idea("tile", 0.3)])
    weights = {each.technique: each.weight for each in given.ideas}
    assert weights == pytest.approx({"tile": 0.3, "pack": 0.5, "simd": math.tanh(tried(1.0, 1.0).expected)})


def idea(technique: str, weight: float) -> dict[str, object]:
    return {"technique": technique, "weight": weight, "why": ""}


def test_a_new_state_gets_a_guide_of_its_own_and_a_known_one_does_not() -> None:
    case = Case(TASK, judged(), counsel=known(hopes={"pack": 0.5}))
    found = founded(case, advice(case, confidence=0.2, new_state="horizontal_sum"))
    assert found is not None
    assert (found.domain, found.state, found.hardware) == ("kernels", "horizontal_sum", "cpu")
    assert found.sources == ("run/1",)
    assert found.hopes["pack"] == INHERITED * 0.5
    assert founded(case, advice(case)) is None
    assert founded(case, Advice()) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"confidence": 0.2},
        {"confidence": 0.2, "new_state": "🙂"},
        {"confidence": 0.2, "new_state": "x" * 80},
        {"confidence": 0.9, "new_state": "something_else"},
        {"state": "🙂", "confidence": 0.9},
    ],
)
def test_what_is_no_new_name_stays_with_the_nearest_state(fields: dict[str, Any]) -> None:
    assert advice(Case(TASK, judged()), **fields).state == STATE


def test_there_is_an_end_to_new_states() -> None:
    counsel = {name: known(name)[name] for name in (f"state_{number}" for number in range(MOST_STATES))}
    assert advice(Case(TASK, judged(), counsel=counsel), confidence=0.1, new_state="one_more").state == STATE


def test_what_a_state_is_to_stop_stays_stopped_whatever_the_model_says() -> None:
    given = advice(Case(TASK, judged(), counsel=known(stops={"tile": "spills"})), stop=[])
    assert [each.technique for each in given.stop] == ["tile"]
    assert {select(given, Random(seed)).chosen for seed in range(50)} == {"multiple accumulators"}


# -- drawing


def test_ideas_are_drawn_by_the_cube_of_their_weight_and_never_the_stopped_one() -> None:
    given = Advice(ideas=(Idea("a", 0.8), Idea("b", 0.4), Idea("c", 1.0), Idea("d", 0.0)), stop=(Idea("c"),))
    rng = Random(1)
    drawn = Counter(select(given, rng).chosen for _ in range(4000))
    assert set(drawn) <= {"a", "b", "d"}
    assert drawn["a"] / drawn["b"] == pytest.approx(8, rel=0.25)
    assert select(given, Random(3)) == select(given, Random(3))


def test_where_all_is_stopped_something_is_tried_all_the_same() -> None:
    given = Advice(ideas=(Idea("a", 0.5),), stop=(Idea("a"),))
    assert select(given, Random(1)).chosen == "a"


def test_without_a_model_statistics_decide_and_one_slot_is_for_the_untried() -> None:
    counsel = known(hopes={"pack": 0.2}, stops={"spill": "no"}, tile=tried(1.0, 1.1, 0.9), unroll=tried(-0.5, -0.4))
    case = Case(TASK, judged(), counsel=counsel, techniques=["tile", "spill", "simd", "prefetch"])
    plan = from_statistics(case, Random(1))
    weights = {each.technique: each.weight for each in plan.ideas}
    assert sum(weights.values()) == pytest.approx(1)
    assert max(weights, key=lambda name: weights[name]) == "tile"
    assert len({"simd", "prefetch"} & weights.keys()) == 1
    assert plan.stop == (Idea("spill", 0.0, "no"),)
    drawn = {from_statistics(case, Random(seed)).chosen for seed in range(300)}
    assert drawn == {"tile", "unroll", "pack", "simd", "prefetch"}
    assert from_statistics(case, Random(7)) == from_statistics(case, Random(7))


def test_without_a_model_and_without_knowledge_nothing_is_chosen() -> None:
    assert from_statistics(Case(TASK, judged()), Random(1)).chosen == ""


def test_a_technique_that_slows_loses_weight_with_every_use() -> None:
    """The release of KernelBlaster never changes its confidence in what it expected nothing of."""
    shares = []
    for uses in (1, 2, 4):
        counsel = known(tile=tried(0.3), slow=tried(*[-0.7] * uses))
        plan = from_statistics(Case(TASK, judged(), counsel=counsel), Random(1))
        shares.append({each.technique: each.weight for each in plan.ideas}["slow"])
    assert shares == sorted(shares, reverse=True)
    assert len(set(shares)) == 3


def test_what_has_no_measurement_is_never_the_best() -> None:
    """The release of KernelBlaster takes cycles that it cannot read for zero cycles."""
    counsel = known(tile=tried(0.3), broken=tried(None), silent=Statistics(tries=1, weight=1.0))
    plan = from_statistics(Case(TASK, judged(), counsel=counsel), Random(1))
    assert plan.ideas[0].technique == "tile"
    assert observation(judged(gain=None, feedback="\nboom\nmore")).gain is None


def test_what_was_just_tried_on_this_program_is_tried_less() -> None:
    counsel = known(tile=tried(0.3), pack=tried(0.3))
    children = [judged(f"run/{number}", technique="tile + unroll") for number in (2, 3)]
    plan = from_statistics(Case(TASK, judged(), children, counsel, ["unroll"]), Random(1))
    weights = {each.technique: each.weight for each in plan.ideas}
    assert weights["tile"] < weights["pack"]
    assert "unroll" not in weights


# -- the textual gradient


def revision(**fields: object) -> str:
    told = {
        "analysis": "tiling failed at odd sizes",
        "adjust": [idea("tile", 0.2), idea("never heard of", 1.0)],
        "new": [idea("register blocking", 0.6)],
        "stop": [{"technique": "unroll", "why": "failed twice"}],
        "text": "Block for registers first.",
    }
    return json.dumps({**told, **fields})


SEEN = [
    Observation("run/2", "tile", 0.9, None, "wrong at [3]"),
    Observation("run/3", "tile + unroll", None, 0.1, "score 1.1"),
    Observation("run/4", "prefetch", 0.5, -0.1, "score 0.9"),
]


def test_a_guide_is_rewritten_from_what_its_hopes_brought() -> None:
    guide = known(hopes={"tile": 0.9, "prefetch": 0.5})[STATE].guide
    model = ScriptedModel([revision(stop=[{"technique": "prefetch", "why": "no misses"}])])
    revised = Analyst(model).revise("run/4", guide, SEEN)
    assert revised.guide.text == "Block for registers first."
    assert revised.guide.hopes == {"tile": 0.2, "register blocking": 0.6}
    assert revised.guide.stops == {"prefetch": "no misses"}
    assert revised.guide.sources == ("run/2", "run/3", "run/4")
    assert revised.analysis == "tiling failed at odd sizes"
    told = model.prompts[0].messages[1].content
    assert "tile: weight 0.90; tried 1 times, 1 failed, nothing feasible" in told
    assert "wrong at [3]" in told


def test_nothing_is_stopped_that_was_measured_to_help() -> None:
    revised = Analyst(ScriptedModel([revision()])).revise("run/4", known()[STATE].guide, SEEN)
    assert revised.guide.stops == {}


def test_a_stop_is_lifted_by_new_hope_alone() -> None:
    guide = known(stops={"prefetch": "no", "tile": "no"})[STATE].guide
    revised = Analyst(ScriptedModel([revision(stop=[])])).revise("run/4", guide, SEEN)
    assert revised.guide.stops == {"prefetch": "no"}


def test_the_same_revision_again_changes_nothing() -> None:
    """As after a kill, between the guide and the note that it was rewritten."""
    said = revision(adjust=[idea("pack", 0.9), idea("tile", 0.2)], new=[idea("pack", 0.1)])
    analyst = Analyst(ScriptedModel([said, said]))
    once = analyst.revise("run/4", known(hopes={"tile": 0.9})[STATE].guide, SEEN).guide
    assert analyst.revise("run/4", once, SEEN).guide == once
    assert once.hopes == {"tile": 0.2, "pack": 0.1}


def test_an_unusable_revision_leaves_the_guide_as_it_was() -> None:
    guide = known(hopes={"tile": 0.9})[STATE].guide
    revised = Analyst(ScriptedModel(["no", "no"])).revise("run/4", guide, SEEN)
    assert revised.guide == guide
    assert revised.problem


def test_nothing_seen_costs_no_call() -> None:
    guide = known()[STATE].guide
    assert Analyst(ScriptedModel([])).revise("run/4", guide, []).guide == guide


def test_expectations_are_compared_with_outcomes_by_counting() -> None:
    seen = [Observation("run/1", "tile", 0.8, 0.7, ""), Observation("run/2", "tile", 0.6, None, "")]
    assert evaluated(seen) == ["tile: weight 0.70; tried 2 times, 1 failed, gained 2.01x on average"]


def test_a_textual_gradient_reaches_the_next_advice(tmp_path: Path) -> None:
    """The release of KernelBlaster has the textual gradient, and never calls it."""
    model = ScriptedModel([revision(), answer()])
    analyst = Analyst(model)
    with Memory.open(tmp_path / "kb") as memory:
        revised = analyst.revise("run/4", memory.guide("kernels", STATE, "cpu"), SEEN)
        assert memory.revise(revised.guide, "textual gradient after run/4")
        case = Case(TASK, judged(), counsel=memory.counsel("kernels", "cpu"))
        analyst.advise("run/5", case)
        assert "Block for registers first." in model.prompts[-1].messages[1].content
        assert "register blocking" in {from_statistics(case, Random(seed)).chosen for seed in range(20)}
