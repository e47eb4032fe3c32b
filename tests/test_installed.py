import json
import logging
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random

import pytest

from evolve.errors import ModelError, UsageError
from evolve.types import DRAFT, REFINE, Recalled
from knowledge.architecture import DesignError, Event, MemoryArchitecture
from knowledge.charge import BUILT_IN, InCharge, design_id, shipped
from knowledge.design import Design, built, seeds
from knowledge.genome import Genome, compose
from knowledge.history import key
from knowledge.layer import ITEM
from knowledge.upkeep import Upkeep
from tests.test_memory import attempt, learn, task

ROOT = Path(__file__).parent.parent
LEARNT = ("bm25", "hcam", "hindsight", "evokernel", "kernelblaster")
"""Seeds of different kinds; those that are there are tried."""
SEEDS = [name for name in LEARNT if name in seeds()]
BROKEN = """
from knowledge.architecture import Retrieval, Verbatim
PARAMS = {}
class Broken(Verbatim):
    def retrieve(self, query, bank, ctx): return Retrieval([])
    def %s
def build(params):
    return Broken()
"""
RETRIEVE = "retrieve(self, query, bank, ctx): "
INSIGHTS = """
from knowledge.architecture import Add, Hit, Param, Record, Retrieval, SetState, Update, Worth
PARAMS = {"least": Param(2, 1, 9)}
class Insights:
    '''One record for each technique, which rests on all attempts with it and is voted on.'''
    def encode(self, event, ctx):
        name = event.data["technique"]
        return [Record("about-" + name, name + " was tried", (event.id,), kind="rule", meta={"votes": 0})]
    def store(self, new, bank, ctx):
        for record in new:
            there = bank.get(record.id)
            yield SetState("seen", bank.state("seen", 0) + 1)
            if there is None:
                yield Add(record)
            else:
                yield Update(record.id, {"sources": (*there.sources, *record.sources)})
    def retrieve(self, query, bank, ctx):
        found = bank.iter()
        return Retrieval([Hit(r.id, bank.value(r.id, query.stage).q, f"{r.meta['votes']} votes") for r in found])
    def manage(self, trigger, bank, ctx):
        if trigger.kind == "feedback":
            for name in trigger.receipt.items:
                votes = bank.get(name).meta["votes"] + trigger.reward
                yield Update(name, {"meta": {"votes": votes}})
        else:
            yield SetState("ticks", bank.state("ticks", 0) + 1)
def build(params):
    return Insights()
"""


def opened(folder: Path) -> Upkeep:
    """Every design is built here: those of the tests are trusted."""
    return Upkeep.open(folder, open_design=built)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Upkeep]:
    with opened(tmp_path / "kb") as memory:
        yield memory


def seed(name: str = "bm25") -> Design:
    return seeds()[name]


def items(recalled: list[Recalled]) -> list[str]:
    return [each.experience.id for each in recalled]


def shown(memory: Upkeep, name: str, of: str = "matmul", *, hold_out: frozenset[str] = frozenset()) -> list[Recalled]:
    return memory.recall(attempt=name, task=task(of), stage=REFINE, state="", rng=Random(0), hold_out=hold_out)


def lived(memory: Upkeep) -> None:
    """A short run: attempts at two tasks by three techniques, recalled and credited."""
    for i in range(9):
        of = task(("matmul", "softmax")[i % 2])
        technique = ("tile", "pack", "fuse")[i % 3]
        shown(memory, f"run/{i}", of.id.partition("/")[2])
        memory.credit(attempt=f"run/{i}", stage=REFINE, reward=(0.9, -0.5, None)[i % 3])
        tried = attempt(f"run/{i}", of, technique=technique, score=None if i % 3 == 2 else 1.0 + i, gain=0.1 * i)
        memory.absorb(task=of, attempt=tried, parent=None)


def told(memory: Upkeep) -> set[tuple[str, str]]:
    state = memory.architectures.in_charge()
    return set() if state is None else memory._bank.layer.told(state.id)


def faults(memory: Upkeep) -> list[str]:
    return [found.what for found in memory.examine() if not found.advice]


# -- an architecture at work


def test_a_base_chooses_by_itself_until_an_architecture_is_installed(memory: Upkeep) -> None:
    lived(memory)
    assert memory.architectures.installed().name == BUILT_IN
    assert memory.architectures.previous() is None
    assert all(name.startswith("exp-") for name in items(shown(memory, "run/20")))


@pytest.mark.parametrize("name", SEEDS)
def test_a_seed_that_is_installed_picks_what_is_recalled(memory: Upkeep, name: str) -> None:
    lived(memory)
    done = memory.architectures.install(seed(name), "to see", score=0.7)
    assert (done.name, done.why, done.score) == (name, "to see", 0.7)
    assert done.records > 0
    found = shown(memory, "run/20")
    assert 0 < len(found) <= 4
    assert all(name.startswith(ITEM) for name in items(found))
    assert {source for each in found for source in each.experience.sources} <= {f"run/{i}" for i in range(9)}
    assert faults(memory) == []


def test_what_is_recalled_is_told_as_an_experience(memory: Upkeep) -> None:
    of = task("matmul")
    memory.absorb(task=of, attempt=attempt("run/1", of, technique="tile + pack", gain=0.7), parent=None)
    native = memory.show(memory.search("tile")[0].experience.id).experience
    memory.architectures.install(seed(), "")
    (found,) = shown(memory, "run/2")
    assert found.experience == native.model_copy(update={"id": found.experience.id})
    assert found.why == f"picked (score {found.similarity:.2f}), untried"
    assert memory.show(found.experience.id).experience == found.experience
    assert memory.named(found.experience.id[:8]) == found.experience.id
    why = memory.why(found.experience.id)
    assert (why.sources, why.used, why.status) == (("run/1",), 1, "active")
    assert why.history[0].endswith("add: run/1")
    assert [each.item for each in memory.why("run/2").recalled] == items([found])


def test_what_its_sources_disagree_on_is_left_out(memory: Upkeep) -> None:
    lived(memory)
    memory.architectures.install(Design("insights", INSIGHTS), "")
    found = {each.experience.text: each.experience for each in shown(memory, "run/20")}
    rule = found["tile was tried"]
    assert (rule.kind, rule.technique, rule.domain, rule.task) == ("rule", "tile", "kernels", "")
    assert rule.sources == ("run/0", "run/3", "run/6")
    assert rule.recipe == ("tile",)
    assert rule.metrics == {}


def test_asked_again_it_is_the_same_whatever_was_learnt_since(memory: Upkeep) -> None:
    lived(memory)
    memory.architectures.install(seed(), "")
    before = shown(memory, "run/20")
    learn(memory, task("matmul"), 5, technique="pack", prefix="later")
    assert shown(memory, "run/20") == before


def test_native_records_are_kept_beside_the_layer(memory: Upkeep) -> None:
    memory.architectures.install(seed(), "")
    lived(memory)
    assert memory.stats().experiences["trace"] == 6
    assert [group.technique for group, _, _ in memory._bank.techniques.all()]
    assert memory.reflect(run="run")
    assert memory.search("tile")[0].experience.id.startswith(("exp-", "ins-"))


def test_it_learns_from_what_is_absorbed_and_credited(memory: Upkeep) -> None:
    memory.architectures.install(Design("insights", INSIGHTS), "")
    lived(memory)
    found = {each.experience.text: each for each in shown(memory, "run/20")}
    assert "votes" in found["tile was tried"].why
    assert not found["tile was tried"].why.startswith("0 votes")
    assert memory.architectures.installed().records == 3
    assert {("attempt", "run/8"), ("credit", "run/8")} <= told(memory)
    assert ("credit", "run/0") not in told(memory)  # nothing was in front of it
    memory.reflect(run="run")
    state = memory.architectures.in_charge()
    assert state is not None
    assert memory._bank.layer.states(state.id) == {"seen": 9, "ticks": 1}


def test_a_reward_teaches_the_records_that_were_shown(memory: Upkeep) -> None:
    learn(memory, task("matmul"), 1)
    memory.architectures.install(seed(), "")
    (found,) = shown(memory, "run/20")
    memory.credit(attempt="run/20", stage=REFINE, reward=0.9)
    assert memory.show(found.experience.id).values[REFINE] > 0
    (again,) = shown(memory, "run/21")
    assert again.value == memory.show(found.experience.id).values[REFINE]
    assert "(n=1, all states)" in again.why


def test_values_survive_through_sources(memory: Upkeep) -> None:
    learn(memory, task("matmul"), 1)
    (native,) = shown(memory, "run/20")
    memory.credit(attempt="run/20", stage=REFINE, reward=0.9)
    worth = memory.show(native.experience.id).values[REFINE]
    memory.architectures.install(seed(), "")
    (first,) = shown(memory, "run/21")
    assert first.value == pytest.approx(worth)
    memory.credit(attempt="run/21", stage=REFINE, reward=None)
    own = memory.show(first.experience.id).values[REFINE]
    memory.architectures.install(Design("insights", INSIGHTS), "")
    (second,) = shown(memory, "run/22")
    assert second.value == pytest.approx((worth + own) / 2)  # one use of each


def test_a_record_in_quarantine_is_never_shown_again_nor_what_rests_on_it(memory: Upkeep) -> None:
    lived(memory)
    memory.architectures.install(Design("insights", INSIGHTS), "")
    assert len(shown(memory, "run/20")) == 3
    memory.revoke("run/0", "fraud")
    assert {each.experience.text for each in shown(memory, "run/21")} == {"pack was tried", "fuse was tried"}
    hidden = memory.show(items([each for each in shown(memory, "run/20") if "tile" in each.experience.text])[0])
    assert hidden.status == "quarantined"
    memory.architectures.install(seed(), "told anew")
    assert not [each for each in shown(memory, "run/22") if "run/0" in each.experience.sources]
    assert ("attempt", "run/0") not in told(memory)


def test_what_is_restored_is_told_after_all(memory: Upkeep) -> None:
    lived(memory)
    revoked = memory.revoke("run/0", "mistaken")
    memory.architectures.install(seed(), "")
    memory.restore(revoked.records, "it was none")
    assert [each for each in shown(memory, "run/21") if "run/0" in each.experience.sources]


def test_forgotten_and_merged_records_are_not_shown(memory: Upkeep) -> None:
    traces = learn(memory, task("matmul"), 2)
    memory.absorb(task=task("sum"), attempt=attempt("run/s", task("sum")), parent=None)
    memory.architectures.install(seed(), "")
    memory.hygiene.merge(traces[0].id, [traces[1].id], "the same")
    assert {source for each in shown(memory, "run/20") for source in each.experience.sources} == {
        traces[0].sources[0], "run/s",
    }  # fmt: skip
    memory.hygiene.forget([traces[0].id], "useless")
    assert [each.experience.sources for each in shown(memory, "run/21")] == [("run/s",)]


@pytest.mark.parametrize("name", SEEDS)
def test_nothing_of_a_held_out_task_is_recalled(memory: Upkeep, name: str) -> None:
    lived(memory)
    memory.architectures.install(seed(name), "")
    held_out = frozenset({"kernels/matmul"})
    found = shown(memory, "run/20", hold_out=held_out)
    sources = {source for each in found for source in each.experience.sources}
    assert sources <= {f"run/{i}" for i in (1, 3, 5, 7)}
    assert shown(memory, "run/21", hold_out=held_out | {"kernels/softmax"}) == []


def test_nothing_of_another_domain_is_recalled(memory: Upkeep) -> None:
    lived(memory)
    memory.architectures.install(seed(), "")
    other = task("matmul").model_copy(update={"domain": "prose", "id": "prose/matmul"})
    assert memory.recall(attempt="run/20", task=other, stage=DRAFT, state="", rng=Random(0)) == []


def test_erased_text_is_in_no_layer(memory: Upkeep) -> None:
    (made,) = learn(memory, task("matmul"), 1, technique="secretive")
    memory.architectures.install(seed(), "")
    assert len(shown(memory, "run/20")) == 1
    memory.hygiene.erase([made.id], "private")
    assert shown(memory, "run/20") == shown(memory, "run/21") == []
    assert memory._bank.database.rows("SELECT seq FROM log WHERE data LIKE '%secretive%'") == []
    assert faults(memory) == []


# -- over time, and in several processes


@pytest.mark.parametrize("name", SEEDS)
def test_a_base_that_is_opened_again_recalls_the_same(tmp_path: Path, name: str) -> None:
    with opened(tmp_path) as memory:
        memory.architectures.install(seed(name), "")
        lived(memory)
        memory.reflect(run="run")
        before = shown(memory, "run/20")
    with opened(tmp_path) as memory:
        changes = memory.stats().changes
        after = shown(memory, "run/21")
        assert before != []
        assert after == before
        assert memory.stats().changes == changes


@pytest.mark.parametrize("name", [*SEEDS, "insights"])
def test_two_that_write_in_turns_see_the_same(tmp_path: Path, name: str) -> None:
    design = seed(name) if name in seeds() else Design(name, INSIGHTS)
    with opened(tmp_path) as one, opened(tmp_path) as other:
        one.architectures.install(design, "")
        for i in range(12):
            writer = (one, other)[i % 2]
            shown(writer, f"run/{i}")
            writer.credit(attempt=f"run/{i}", stage=REFINE, reward=0.5)
            tried = attempt(f"run/{i}", task("matmul"), technique=("tile", "pack")[i // 2 % 2], gain=0.1)
            writer.absorb(task=task("matmul"), attempt=tried, parent=None)
        assert told(one) == told(other)
        assert {("attempt", f"run/{i}") for i in range(12)} <= told(one)
        found = shown(one, "run/20")
        assert found != []
        assert shown(other, "run/21") == found
        assert faults(one) == []
        with opened(tmp_path) as fresh:
            assert shown(fresh, "run/22") == found


@pytest.mark.parametrize("name", sorted(seeds()))
def test_every_seed_recalls_the_same_after_a_quarantine_and_when_opened_again(tmp_path: Path, name: str) -> None:
    with opened(tmp_path) as memory:
        memory.architectures.install(seed(name), "")
        lived(memory)
        memory.reflect(run="run")
        memory.revoke("run/0", "fraud")
        for i in range(9, 18):
            of = task(("matmul", "softmax")[i % 2])
            memory.absorb(task=of, attempt=attempt(f"run/{i}", of, technique=("tile", "pack")[i % 2]), parent=None)
        memory.reflect(run="run")
        before = shown(memory, "run/20")
        assert not [each for each in before if "run/0" in each.experience.sources]
    with opened(tmp_path) as memory:
        assert shown(memory, "run/21") == before


def test_a_record_that_rests_on_a_fraud_no_longer_is_shown_again(memory: Upkeep) -> None:
    latest = INSIGHTS.replace("(*there.sources, *record.sources)", "record.sources")
    memory.architectures.install(Design("latest", latest), "")
    lived(memory)
    memory.revoke("run/0", "fraud")
    assert "tile was tried" in {each.experience.text for each in shown(memory, "run/20")}


def test_others_write_while_an_architecture_is_told_the_past(tmp_path: Path) -> None:
    with opened(tmp_path) as other:
        lived(other)

        def disturbed(design: Design) -> MemoryArchitecture:
            architecture = built(design)
            store = architecture.store
            heard: list[int] = []

            def storing(*given: object) -> object:
                heard.append(1)
                if len(heard) == 2:
                    other.absorb(task=task("sum"), attempt=attempt("other/1", task("sum")), parent=None)
                return store(*given)  # type: ignore[arg-type]

            architecture.store = storing  # type: ignore[method-assign,assignment]
            return architecture

        with Upkeep.open(tmp_path, open_design=disturbed) as memory:
            memory.architectures.install(seed(), "")
            assert memory.architectures.installed().records == 10
            assert ("attempt", "other/1") in told(memory)
            assert faults(memory) == []


def test_what_others_write_right_before_it_tidies_up_is_told_all_the_same(tmp_path: Path) -> None:
    with opened(tmp_path) as memory:
        memory.architectures.install(Design("insights", INSIGHTS), "")
        memory.architectures.catch_up()
        installed = memory.architectures._opened
        assert installed is not None
        catch_up = installed.catch_up

        def overtaken() -> None:
            catch_up()
            with Upkeep.open(tmp_path) as other:  # where the architecture cannot work
                other.absorb(task=task("sum"), attempt=attempt("other/1", task("sum")), parent=None)

        installed.catch_up = overtaken  # type: ignore[method-assign]
        memory.reflect(run="run")
        installed.catch_up = catch_up  # type: ignore[method-assign]
        memory.architectures.catch_up()
        assert ("attempt", "other/1") in told(memory)


def test_what_it_had_opened_is_closed_before_it_is_made_anew(tmp_path: Path) -> None:
    opened_now: list[int] = [0]

    def counted(design: Design) -> MemoryArchitecture:
        architecture = built(design)
        opened_now[0] += 1
        architecture.close = lambda: opened_now.__setitem__(0, opened_now[0] - 1)  # type: ignore[attr-defined]
        return architecture

    with Upkeep.open(tmp_path, open_design=counted) as memory, opened(tmp_path) as other:
        memory.architectures.install(seed(), "")
        for i in range(4):  # what another one wrote lets it begin anew
            other.absorb(task=task("sum"), attempt=attempt(f"run/{i}", task("sum"), technique=f"t{i}"), parent=None)
            shown(memory, f"run/{20 + i}")
        assert opened_now == [1]
    assert opened_now == [0]


def test_much_that_was_missed_is_told_bit_by_bit(tmp_path: Path) -> None:
    with opened(tmp_path) as memory:
        memory.architectures.install(Design("insights", INSIGHTS), "")
    with Upkeep.open(tmp_path) as memory:  # where it cannot work
        learn(memory, task("matmul"), 50)
    with opened(tmp_path) as memory:
        memory.architectures.catch_up()
        state = memory.architectures.in_charge()
        assert state is not None
        assert memory._bank.layer.states(state.id) == {"seen": 50, "ticks": 2}


def test_one_process_sees_what_another_installs(tmp_path: Path) -> None:
    with opened(tmp_path) as one, opened(tmp_path) as other:
        lived(one)
        other.architectures.install(seed(), "")
        assert all(name.startswith(ITEM) for name in items(shown(one, "run/20")))
        other.architectures.rollback()
        assert all(name.startswith("exp-") for name in items(shown(one, "run/21")))


WORKER = """
import sys
from pathlib import Path
from tests.test_installed import opened, shown
from tests.test_memory import attempt, task
name = sys.argv[2]
with opened(Path(sys.argv[1])) as memory:
    for i in range(10):
        shown(memory, f"{name}/{i}")
        memory.credit(attempt=f"{name}/{i}", stage="refine", reward=0.5)
        tried = attempt(f"{name}/{i}", task("matmul"), technique=f"{name} {i}", gain=0.1)
        memory.absorb(task=task("matmul"), attempt=tried, parent=None)
"""


def test_several_processes_work_with_one_architecture_at_once(tmp_path: Path) -> None:
    with opened(tmp_path) as memory:
        lived(memory)
        memory.architectures.install(Design("insights", INSIGHTS), "")
    others = [subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path), name], cwd=ROOT) for name in "abc"]
    assert [other.wait() for other in others] == [0, 0, 0]
    with opened(tmp_path) as memory:
        assert memory.architectures.installed().records == 33
        assert {("attempt", f"{name}/{i}") for name in "abc" for i in range(10)} <= told(memory)
        state = memory.architectures.in_charge()
        assert state is not None
        assert memory._bank.layer.states(state.id)["seen"] == 39
        assert faults(memory) == []


def test_an_attempt_that_repeats_another_is_told_too(memory: Upkeep) -> None:
    memory.architectures.install(seed(), "")
    for name in ("run/1", "run/2"):
        memory.absorb(task=task("sum"), attempt=attempt(name, task("sum"), code="int a;"), parent=None)
    assert told(memory) == {("attempt", "run/1"), ("attempt", "run/2")}


def test_what_is_imported_is_told(tmp_path: Path) -> None:
    with opened(tmp_path / "theirs") as theirs, opened(tmp_path / "mine") as mine:
        theirs.architectures.install(seed(), "")
        lived(theirs)
        theirs.export(tmp_path / "out")
        mine.architectures.install(Design("insights", INSIGHTS), "")
        done = mine.merge_in(tmp_path / "out")
        assert done.bad == []
        assert mine.architectures.installed().name == "insights"
        assert {each.experience.text for each in shown(mine, "run/20")} == {
            "tile was tried", "pack was tried", "fuse was tried",
        }  # fmt: skip
        assert faults(mine) == []
        assert mine.merge_in(tmp_path / "out").added == 0


# -- another one, and back


@pytest.mark.parametrize("name", SEEDS)
def test_going_back_recalls_exactly_what_was_recalled_before(memory: Upkeep, name: str) -> None:
    memory.architectures.install(seed(name), "first")
    lived(memory)
    before = shown(memory, "run/20")
    memory.architectures.install(Design("insights", INSIGHTS), "better")
    between = shown(memory, "run/21")
    assert items(between) != items(before)
    previous = memory.architectures.previous()
    assert previous is not None
    assert previous.name == name
    assert memory.architectures.rollback("worse").name == name
    assert shown(memory, "run/22") == before
    assert faults(memory) == []


def test_going_back_tells_what_was_missed(memory: Upkeep) -> None:
    memory.architectures.install(seed(), "")
    memory.architectures.install(Design("insights", INSIGHTS), "")
    lived(memory)
    assert memory.architectures.rollback().records == 9
    assert {("attempt", "run/8"), ("credit", "run/8")} <= told(memory)


def test_one_can_go_back_to_the_built_in_choice_and_no_further(memory: Upkeep) -> None:
    lived(memory)
    before = shown(memory, "run/20")
    memory.architectures.install(seed(), "")
    memory.architectures.install(Design("insights", INSIGHTS), "")
    assert memory.architectures.rollback().name == "bm25"
    assert memory.architectures.previous() is None
    assert memory.architectures.rollback().name == BUILT_IN
    assert shown(memory, "run/21") == before
    with pytest.raises(UsageError, match="no memory architecture is installed"):
        memory.architectures.rollback()


def test_one_that_is_installed_again_is_told_everything_anew(memory: Upkeep) -> None:
    lived(memory)
    memory.architectures.install(seed(), "")
    before = shown(memory, "run/20")
    memory.architectures.install(seed(), "again")
    assert shown(memory, "run/21") == before
    assert memory.architectures.installed().records == 9
    assert faults(memory) == []


def test_the_timeline_takes_architecture_and_layer_along(memory: Upkeep) -> None:
    memory.architectures.install(Design("insights", INSIGHTS), "")
    lived(memory)
    before, point = shown(memory, "run/20"), memory.timeline.snapshot("good")
    lived_on = attempt("run/30", task("matmul"), technique="tile", gain=9.0)
    memory.absorb(task=task("matmul"), attempt=lived_on, parent=None)
    memory.architectures.install(seed(), "")
    later = shown(memory, "run/21")
    undo = memory.timeline.snapshot("later")
    memory.rollback("good")
    assert memory.architectures.installed().name == "insights"
    assert shown(memory, "run/22") == before
    assert ("attempt", "run/30") not in told(memory)
    assert faults(memory) == []
    memory.rollback(str(undo))
    assert shown(memory, "run/23") == later
    assert faults(memory) == []
    moved = {found.subject.partition(" ")[0] for found in memory.timeline.diff(point, undo)}
    assert {"architecture", "memory", "memory-told", "record"} <= moved


def test_an_attempt_that_was_rolled_back_and_comes_again_is_told(memory: Upkeep) -> None:
    memory.architectures.install(seed(), "")
    point = memory.timeline.snapshot("empty")
    learn(memory, task("matmul"), 1)
    memory.rollback(str(point))
    assert shown(memory, "run/20") == []
    learn(memory, task("matmul"), 1)
    assert len(shown(memory, "run/21")) == 1


def test_the_doctor_makes_a_damaged_layer_again(memory: Upkeep) -> None:
    memory.architectures.install(Design("insights", INSIGHTS), "")
    lived(memory)
    before = shown(memory, "run/20")
    memory._bank.database.run("DELETE FROM layer WHERE id LIKE '%tile'")
    assert len(faults(memory)) == 1
    assert faults(memory)[0].startswith("layer disagree with the log: ")
    memory.mend()
    assert faults(memory) == []
    assert items(shown(memory, "run/21")) == items(before)


def test_the_doctor_puts_back_what_cannot_be_read(memory: Upkeep) -> None:
    memory.architectures.install(seed(), "")
    lived(memory)
    log = memory._bank.log
    state = memory.architectures.in_charge()
    assert state is not None
    for subject in (f'memory ["{state.id}", "run/3"]', f'memory-told ["{state.id}", "attempt", "run/3"]'):
        log.append(subject, "update", "damage", '["not a state"]')
    assert len([found for found in faults(memory) if found.endswith("cannot be read")]) == 2
    memory.mend()
    assert faults(memory) == []
    assert memory.architectures.installed().records == 9


# -- what cannot work


@pytest.mark.parametrize(
    "method",
    [
        RETRIEVE + "raise KeyError('mine')",
        RETRIEVE + "return 7",
        RETRIEVE + "from knowledge.architecture import Hit; return Retrieval([Hit('run/0', 1.0, chr(0xd800))])",
        RETRIEVE + "from knowledge.architecture import Hit; return Retrieval([Hit('run/0', float('nan'))])",
        "manage(self, trigger, bank, ctx): return 7",
    ],
)
def test_one_that_breaks_gives_way_to_the_one_before(
    memory: Upkeep, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    lived(memory)
    memory.architectures.install(seed(), "")
    broken = Design("broken", BROKEN % method)
    if "manage" in method:
        memory.architectures._put(
            InCharge(id=design_id(broken), name="broken", source=broken.source, under=line(memory)), "", ""
        )
    else:
        memory.architectures.install(broken, "hopeful")
    with caplog.at_level(logging.WARNING):
        found = shown(memory, "run/20")
        memory.reflect(run="run")
        shown(memory, "run/21")
    assert found != []
    assert memory.architectures.installed().name == "bm25"
    assert [each.message.partition(" (")[0] for each in caplog.records] == [
        "the memory architecture broken does not work here"
    ]
    assert caplog.records[0].message.endswith("; bm25 takes its place")
    (last, *_) = memory.timeline.history("architecture base")
    assert last.what == "fall back"
    assert last.why.startswith("broken broke: ")
    assert faults(memory) == []


def line(memory: Upkeep) -> int:
    return memory.timeline.history("architecture base")[0].seq


def test_one_that_breaks_with_none_before_gives_way_to_the_built_in_choice(memory: Upkeep) -> None:
    lived(memory)
    memory.architectures.install(Design("broken", BROKEN % (RETRIEVE + "1 / 0")), "")
    assert all(name.startswith("exp-") for name in items(shown(memory, "run/20")))
    assert memory.architectures.installed().name == BUILT_IN


def test_one_that_breaks_while_it_learns_loses_nothing_of_the_run(memory: Upkeep) -> None:
    memory.architectures.install(
        Design("broken", BROKEN % "encode(self, event, ctx): return [1 // len(event.actor[3:])]"), ""
    )
    lived(memory)  # its runs are named `run`, which is too short
    assert memory.stats().experiences["trace"] == 6
    assert memory.architectures.installed().name == BUILT_IN


def test_one_that_breaks_when_it_is_told_the_past_changes_nothing(memory: Upkeep) -> None:
    lived(memory)
    memory.architectures.install(seed(), "")
    before, changes = shown(memory, "run/20"), memory.stats().changes
    with pytest.raises(DesignError, match="encode: ZeroDivisionError"):
        memory.architectures.install(Design("broken", BROKEN % "encode(self, event, ctx): 1 / 0"), "")
    with pytest.raises(DesignError, match="import: SyntaxError"):
        memory.architectures.install(Design("broken", "def"), "")
    assert memory.stats().changes == changes
    assert memory.architectures.installed().name == "bm25"
    assert shown(memory, "run/21") == before


def test_what_an_architecture_stands_on_is_not_blamed_on_it(tmp_path: Path) -> None:
    def away(design: Design) -> MemoryArchitecture:
        architecture = built(design)

        class Away:
            encode, store, manage = architecture.encode, architecture.store, architecture.manage

            def retrieve(self, *_: object) -> None:
                raise ModelError("nobody is there")

        return Away()  # type: ignore[return-value]

    with Upkeep.open(tmp_path, open_design=away) as memory:
        lived(memory)
        memory.architectures.install(seed(), "")
        with pytest.raises(ModelError, match="nobody is there"):
            shown(memory, "run/20")
        assert memory.architectures.installed().name == "bm25"


def test_only_what_is_shipped_is_built_in_this_process() -> None:
    assert shipped(seed())
    with pytest.raises(UsageError, match=r"insights is none of those that are shipped \(.*bm25.*\): it needs a sandb"):
        shipped(Design("insights", INSIGHTS))


def test_one_that_cannot_work_here_stays_in_charge_for_those_where_it_can(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(tmp_path) as memory:
        lived(memory)
        memory.architectures.install(seed(), "")
        memory.architectures.install(Design("insights", INSIGHTS), "")
    with Upkeep.open(tmp_path) as memory, caplog.at_level(logging.WARNING):
        memory.ready()
        assert shown(memory, "run/20") != []
        memory.absorb(task=task("sum"), attempt=attempt("run/30", task("sum")), parent=None)
        assert memory.architectures.installed().name == "insights"
        with pytest.raises(UsageError, match="it needs a sandbox"):
            memory.architectures.install(Design("others", INSIGHTS + "#"), "")
    assert [each.message.rpartition("; ")[2] for each in caplog.records] == ["bm25 takes its place"]
    with opened(tmp_path) as memory:
        shown(memory, "run/21")
        assert ("attempt", "run/30") in told(memory)
        assert memory.architectures.installed().name == "insights"


def test_what_is_composed_of_shipped_programs_needs_no_sandbox(tmp_path: Path) -> None:
    genome = Genome("bm25", "bm25", (("bm25", 1.0), ("hcam", 0.5)), "bm25")
    design = compose("child", genome, seeds(), {})
    with Upkeep.open(tmp_path) as memory:
        lived(memory)
        memory.architectures.install(design, "evolved", genome=genome)
        assert shown(memory, "run/20") != []
        changed = design._replace(source=design.source + "\nimport os\n")
        with pytest.raises(UsageError, match="it needs a sandbox"):
            memory.architectures.install(changed, "", genome=genome)
    with Upkeep.open(tmp_path) as memory:
        assert memory.architectures.installed().name == "child"
        assert shown(memory, "run/21") != []


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.test_installed import opened, seed
from knowledge.design import built, seeds
from knowledge.upkeep import Upkeep

def dying(design):
    architecture = built(design)
    encode, seen = architecture.encode, []
    def encoding(event, ctx):
        seen.append(event)
        if len(seen) == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return encode(event, ctx)
    architecture.encode = encoding
    return architecture

with Upkeep.open(Path(sys.argv[1]), open_design=dying) as memory:
    memory.architectures.install(seed("hcam"), "")
"""


def test_a_kill_while_one_is_installed_leaves_the_old_one(tmp_path: Path) -> None:
    with opened(tmp_path) as memory:
        lived(memory)
        memory.architectures.install(seed(), "")
        before, changes = shown(memory, "run/20"), memory.stats().changes
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT, check=False)
    assert done.returncode == -9
    with opened(tmp_path) as memory:
        assert memory.stats().changes == changes
        assert memory.architectures.installed().name == "bm25"
        assert shown(memory, "run/21") == before
        assert faults(memory) == []


def test_several_threads_recall_and_learn_at_once(memory: Upkeep) -> None:
    from concurrent.futures import ThreadPoolExecutor

    lived(memory)
    memory.architectures.install(seed(), "")

    def work(i: int) -> int:
        found = shown(memory, f"run/{100 + i}")
        memory.credit(attempt=f"run/{100 + i}", stage=REFINE, reward=0.5)
        tried = attempt(f"run/{100 + i}", task("matmul"), technique=f"t{i}")
        memory.absorb(task=task("matmul"), attempt=tried, parent=None)
        return len(found)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(12)))
    assert memory.architectures.installed().records == 21
    assert faults(memory) == []


def test_lines_of_the_log_tell_what_an_architecture_did(memory: Upkeep) -> None:
    memory.architectures.install(Design("insights", INSIGHTS), "to see")
    lived(memory)
    lines: Mapping[str, str] = {each.subject: each.what for each in memory.timeline.history(limit=500)}
    state = memory.architectures.in_charge()
    assert state is not None
    assert lines["architecture base"] == "install"
    assert lines[f"memory {json.dumps([state.id, 'about-tile'])}"] == "add"
    assert f"memory-state {json.dumps([state.id, 'seen'])}" in lines


def test_the_past_is_told_in_order_and_rewards_before_what_was_learnt_from_them(memory: Upkeep) -> None:
    lived(memory)
    memory.revoke("run/3", "fraud")
    told = [key(moment) for moment in memory.architectures.moments()]
    assert told[:3] == [("attempt", "run/0"), ("credit", "run/1"), ("attempt", "run/1")]
    assert [name for kind, name in told if kind == "attempt"] == [f"run/{i}" for i in range(9) if i != 3]
    assert ("credit", "run/3") not in told
    event = next(moment for moment in memory.architectures.moments() if isinstance(moment, Event))
    assert (event.actor, event.scope, event.kind) == ("run", "kernels/matmul", "attempt")
    assert event.text.startswith("On kernels/matmul, tile gained")
    assert event.text.partition("\n")[2].startswith("About kernels/matmul matmul")
    assert event.data["technique"] == "tile"
    assert event.data["feasible"] is True


def test_the_past_is_tidied_up_every_twenty_events_and_at_its_end(memory: Upkeep) -> None:
    for i in range(45):
        of = task("matmul")
        memory.absorb(task=of, attempt=attempt(f"run/{i}", of, technique="tile"), parent=None)
    memory.architectures.install(Design("insights", INSIGHTS), "")
    state = memory.architectures.in_charge()
    assert state is not None
    assert memory._bank.layer.states(state.id)["ticks"] == 3
