"""Guides of bottleneck states and curated insights, as a knowledge base keeps them."""

import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from evolve.types import Attempt, Experience
from knowledge.distil import CURATED, curated_id
from knowledge.guides import MOST_SOURCES, Guide
from knowledge.library import Filters
from knowledge.memory import Memory
from knowledge.upkeep import Upkeep
from tests.test_memory import attempt, task

BOUND = "memory_latency_bound"
ROOT = Path(__file__).parent.parent
WRITER = """
import sys
from pathlib import Path
from knowledge.guides import Guide
from knowledge.memory import Memory
with Memory.open(Path(sys.argv[1])) as memory:
    for number in range(20):
        memory.revise(Guide(domain="kernels", state=sys.argv[2], text=f"version {number}"), "test")
"""


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Upkeep]:
    with Upkeep.open(tmp_path / "kb") as memory:
        yield memory


def learnt(memory: Memory, name: str, **fields: object) -> Attempt:
    of = task(str(fields.pop("on", "sum")))
    state = str(fields.pop("found", ""))
    parent = fields.pop("after", None)
    assert parent is None or isinstance(parent, Attempt)
    tried = attempt(name, of, parent=parent.id if parent else None, **fields)  # type: ignore[arg-type]
    memory.absorb(task=of, attempt=tried, parent=parent, baseline=1.0, state=state)
    return tried


def advised(*sources: str, text: str = "Tile first.", hardware: str = "", **hopes: float) -> Guide:
    return Guide(
        domain="kernels", state=BOUND, hardware=hardware, text=text, hopes=hopes or {"tile": 0.7},
        stops={"unroll": "spills"}, sources=sources,
    )  # fmt: skip


def curated(*sources: str, text: str = "Tiling helps where rows are long.") -> Experience:
    return Experience(
        id=curated_id("kernels", BOUND, text), kind="insight", text=text, domain="kernels", state=BOUND, sources=sources
    )


# -- guides


def test_a_guide_is_read_by_its_key_and_by_any_hardware_where_there_is_none_for_this(memory: Upkeep) -> None:
    assert memory.guide("kernels", BOUND, "cpu") == Guide(domain="kernels", state=BOUND, hardware="cpu")
    assert memory.revise(advised("run/1"), "first")
    assert memory.guide("kernels", BOUND) == advised("run/1")
    assert memory.guide("kernels", BOUND, "cpu") == advised("run/1", hardware="cpu")
    assert memory.revise(advised("run/2", text="Tile by 8.", hardware="cpu"), "on this one")
    assert memory.guide("kernels", BOUND, "cpu").text == "Tile by 8."
    assert memory.guide("kernels", BOUND, "gpu").text == "Tile first."
    assert memory.guide("kernels", "other").text == memory.guide("memory", BOUND).text == ""
    assert [guide.hardware for guide in memory.guides("kernels")] == ["", "cpu"]
    assert memory.guides("memory") == []


def test_the_same_guide_again_is_no_new_version(memory: Upkeep) -> None:
    assert memory.revise(advised("run/1"), "first")
    before = memory.stats().changes
    assert not memory.revise(advised("run/1"), "again")
    assert memory.stats().changes == before
    assert memory.revise(advised("run/1", tile=0.8), "more hope")


def test_every_change_of_a_guide_can_be_seen_compared_and_taken_back(memory: Upkeep) -> None:
    memory.revise(advised("run/1"), "first")
    point = memory.stats().changes
    memory.revise(advised("run/1", "run/2", text="Unroll first.", unroll=0.9), "textual gradient after run/2")
    subject = memory.subject_of(advised().id)
    assert [line.why for line in memory.timeline.history(subject)] == ["textual gradient after run/2", "first"]
    [difference] = memory.timeline.diff(point, memory.stats().changes)
    assert "Tile first." in (difference.before or "")
    assert "Unroll first." in (difference.after or "")
    memory.rollback(str(point), "it got worse")
    assert memory.guide("kernels", BOUND) == advised("run/1")


def test_a_guide_is_never_recalled_but_may_be_searched_for(memory: Upkeep) -> None:
    learnt(memory, "run/1")
    memory.revise(advised("run/1", text="Add up all elements of a vector with tile."), "first")
    for stage in ("draft", "refine"):
        recalled = memory.recall(attempt=f"run/{stage}", task=task("sum"), stage=stage, state=BOUND, rng=Random(1), k=8)
        assert [item.experience.kind for item in recalled] == ["trace"]
    consulted = memory.consult("tile", asker="test").recalled
    assert [item.experience.kind for item in consulted] == ["trace"]
    found = memory.search("tile", where=Filters(kind="guide"))
    assert [hit.experience.id for hit in found] == [advised().id]


def test_guides_that_say_the_same_of_two_states_are_no_duplicates(memory: Upkeep) -> None:
    for state in ("one", "two"):
        memory.revise(advised("run/1").model_copy(update={"state": state}), "first")
    assert memory.near_duplicates(0.5) == []
    assert memory.hygiene.same() == []


def test_a_guide_goes_with_an_export(memory: Upkeep, tmp_path: Path) -> None:
    memory.revise(advised("run/1"), "first")
    memory.export(tmp_path / "out")
    with Upkeep.open(tmp_path / "other") as other:
        other.merge_in(tmp_path / "out")
        assert other.guide("kernels", BOUND) == advised("run/1")


def test_a_guide_goes_into_quarantine_with_any_of_its_sources(memory: Upkeep) -> None:
    first = learnt(memory, "run/1", code="int a;")
    learnt(memory, "run/2", code="int b;", after=first)
    memory.revise(advised("run/2"), "first")
    revoked = memory.revoke("run/1", "it was a fraud")
    assert advised().id in revoked.records
    assert memory.guide("kernels", BOUND) == Guide(domain="kernels", state=BOUND)
    assert not memory.revise(advised("run/2", text="Tile twice."), "it still rests on it")
    learnt(memory, "run/3", code="int c;")
    assert memory.revise(advised("run/3", text="Tile once."), "on others")
    assert memory.guide("kernels", BOUND).text == "Tile once."


def test_a_guide_that_somebody_put_away_stays_away(memory: Upkeep) -> None:
    memory.revise(advised("run/1"), "first")
    memory.hygiene.forget([advised().id], "nonsense")
    assert not memory.revise(advised("run/1", "run/2"), "textual gradient")
    assert memory.guide("kernels", BOUND).text == ""


def test_a_guide_that_rests_on_a_held_out_task_counts_as_none(memory: Upkeep) -> None:
    learnt(memory, "run/1", on="sum")
    memory.revise(advised("run/1"), "first")
    memory.keep([curated("run/1")], run="run")
    held_out = frozenset({"kernels/sum"})
    assert len(memory.insights()) == 1
    assert memory.insights(hold_out=held_out) == []
    assert memory.guide("kernels", BOUND, hold_out=held_out).text == ""
    assert memory.guide("kernels", BOUND, hold_out=frozenset({"kernels/gemv"})).text == "Tile first."
    assert memory.counsel("kernels", hold_out=held_out) == {}


def test_a_guide_names_its_latest_sources(memory: Upkeep) -> None:
    names = [f"run/{number}" for number in range(MOST_SOURCES + 5)]
    memory.revise(advised(*names), "many")
    assert memory.guide("kernels", BOUND).sources == tuple(names[5:])


def test_a_guide_that_has_forgotten_a_held_out_source_still_counts_as_none(memory: Upkeep) -> None:
    learnt(memory, "run/0", on="sum")
    names = [f"run/{number}" for number in range(MOST_SOURCES + 1)]
    memory.revise(advised(*names[:-1]), "first")
    memory.revise(advised(*names), "one more")
    assert "run/0" not in memory.guide("kernels", BOUND).sources
    assert memory.guide("kernels", BOUND, hold_out=frozenset({"kernels/sum"})).text == ""
    assert memory.guide("kernels", BOUND, hold_out=frozenset({"kernels/gemv"})).text == "Tile first."


def test_a_state_that_is_found_again_keeps_the_guide_it_has(memory: Upkeep) -> None:
    assert memory.found(advised("run/1", text="Found first."), "found")
    assert not memory.found(advised("run/2", text="Found again."), "found")
    assert memory.guide("kernels", BOUND).text == "Found first."
    memory.revise(advised("run/1", "run/2", text="Rewritten."), "textual gradient")
    assert not memory.found(advised("run/1", text="Found first."), "found")
    assert memory.guide("kernels", BOUND).text == "Rewritten."


def test_two_processes_revise_guides_at_once_and_no_change_is_lost(tmp_path: Path) -> None:
    """The release of KernelBlaster rewrites one file as a whole, with a lock of one process."""
    with Memory.open(tmp_path / "kb") as memory:
        memory.revise(Guide(domain="kernels", state="first", text="there"), "test")
        started = [
            subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "kb"), state], cwd=ROOT)
            for state in ("one", "two")
        ]
        assert [process.wait() for process in started] == [0, 0]
        texts = {guide.state: guide.text for guide in memory.guides()}
    assert texts == {"first": "there", "one": "version 19", "two": "version 19"}


# -- what is known of states


def test_what_a_later_step_teaches_is_counted_like_the_first(memory: Upkeep) -> None:
    """The release of KernelBlaster learns from the first step of a trajectory alone."""
    before = learnt(memory, "run/0", state=BOUND, code="int z;")
    for step in range(1, 5):
        before = learnt(
            memory, f"run/{step}", technique="tile", state=BOUND, score=2.0**step, code=f"int a{step};", after=before
        )
    seen = memory.technique_statistics("kernels", BOUND)
    assert seen["tile"].tries == 4
    assert math.exp(seen["tile"].gain) == pytest.approx(8 ** (1 / 4))


def test_a_technique_is_counted_under_the_state_that_the_analyst_found(memory: Upkeep) -> None:
    """The release of KernelBlaster drops what is not listed under the state that its matcher named."""
    first = learnt(memory, "run/1", state=BOUND, code="int a;")
    learnt(memory, "run/2", technique="pack", score=3.0, code="int b;", after=first, found="bank_conflicts")
    assert memory.technique_statistics("kernels", "bank_conflicts")["pack"].tries == 1
    assert "pack" not in memory.technique_statistics("kernels", BOUND)
    assert memory.states("kernels")["bank_conflicts"] == 1
    assert memory.counsel("kernels")["bank_conflicts"].statistics["pack"].n == 1


def test_statistics_are_those_of_the_hardware_or_of_any_without_held_out_tasks(memory: Upkeep) -> None:
    first = learnt(memory, "run/1", state=BOUND, code="int a;")
    learnt(memory, "run/2", technique="tile", code="int b;", after=first, on="sum")
    learnt(memory, "run/3", technique="tile", code="int c;", after=first, on="gemv")
    assert memory.technique_statistics("kernels", BOUND, "some cpu")["tile"].tries == 2
    held_out = frozenset({"kernels/gemv"})
    assert memory.technique_statistics("kernels", BOUND, hold_out=held_out)["tile"].tries == 1
    assert memory.techniques("kernels") == ["tile"]
    assert memory.techniques("kernels", hold_out=frozenset({"kernels/gemv", "kernels/sum"})) == []


def test_a_model_cannot_change_what_was_measured(memory: Upkeep) -> None:
    first = learnt(memory, "run/1", state=BOUND, code="int a;")
    learnt(memory, "run/2", technique="tile", score=0.5, code="int b;", after=first)
    before = memory.technique_statistics("kernels", BOUND)
    memory.revise(advised("run/2", tile=1.0), "a hope")
    assert memory.technique_statistics("kernels", BOUND) == before
    assert before["tile"].gain < 0


# -- curated insights


def test_a_curated_insight_is_kept_once_and_survives_reflecting(memory: Upkeep) -> None:
    first = learnt(memory, "run/1", state=BOUND, code="int a;")
    for number in (2, 3):
        learnt(memory, f"run/{number}", technique="tile", code=f"int b{number};", after=first)
    insight = curated("run/2", "run/3")
    assert insight.id.startswith(CURATED)
    assert memory.keep([insight], run="run") == [insight]
    assert memory.keep([insight], run="run") == []
    distilled = memory.reflect(run="run")
    assert distilled
    assert {each.id for each in memory.insights()} == {insight.id, *(each.id for each in distilled)}


def test_a_curated_insight_competes_for_the_slot_of_insights(memory: Upkeep) -> None:
    learnt(memory, "run/1", code="int a;")
    learnt(memory, "run/2", code="int b;", on="gemv")
    memory.keep([curated("run/1", "run/2")], run="run")
    recalled = memory.recall(attempt="run/9", task=task("sum"), stage="refine", state=BOUND, rng=Random(1))
    assert "insight" in [item.experience.kind for item in recalled]


def test_what_rests_on_nothing_known_or_on_quarantine_is_not_kept(memory: Upkeep) -> None:
    learnt(memory, "run/1", code="int a;")
    learnt(memory, "run/2", code="int b;")
    memory.revoke("run/2", "it was a fraud")
    assert memory.keep([curated("run/1", "run/2"), curated("run/7"), curated()], run="run") == []


def test_a_curated_insight_goes_into_quarantine_with_any_of_its_sources(memory: Upkeep) -> None:
    learnt(memory, "run/1", code="int a;")
    learnt(memory, "run/2", code="int b;")
    memory.keep([curated("run/1", "run/2")], run="run")
    assert curated().id in memory.revoke("run/2", "it was a fraud").records
    memory.reflect(run="run")
    assert memory.show(curated().id).status == "quarantined"


def test_a_curated_insight_that_rests_on_a_held_out_task_is_not_recalled(memory: Upkeep) -> None:
    learnt(memory, "run/1", code="int a;", on="sum")
    learnt(memory, "run/2", code="int b;", on="gemv")
    memory.keep([curated("run/1", "run/2")], run="run")

    def recalled(name: str, *hold_out: str) -> list[str]:
        asked = memory.recall(
            attempt=name, task=task("sum"), stage="refine", state=BOUND, rng=Random(1), hold_out=frozenset(hold_out)
        )
        return [item.experience.kind for item in asked]

    assert "insight" in recalled("run/8")
    assert "insight" not in recalled("run/9", "kernels/gemv")


def test_what_tells_of_an_erased_attempt_is_erased_with_it(memory: Upkeep) -> None:
    first, second = learnt(memory, "r/1"), learnt(memory, "r/2", code="other")
    memory.revise(advised("r/1", text="The secret tile."), "test")
    memory.keep([curated("r/1", "r/2")], run="r")
    record = memory._bank.learnt_from(first.id)
    assert record is not None
    assert memory.hygiene.erase([record], "private") == [record]
    assert memory.guide("kernels", BOUND).text == ""
    assert memory.insights() == []
    told = memory._bank.database.row("SELECT count(*) FROM log WHERE data LIKE '%secret tile%'")
    assert told == (0,)
    assert memory._bank.learnt_from(second.id) is not None
