"""Meta-evolution: who is better, who breeds, what a run leaves behind."""

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import pytest

from agents.architect import Architect, Redesign
from agents.model import ScriptedModel
from evolve.budget import Budget, Ceilings, MeteredModel
from evolve.domains.memory.confined import LIMITS
from evolve.domains.memory.exam import Exam
from evolve.domains.memory.generated import conversations
from evolve.domains.memory.grading import Grades, grade
from evolve.domains.memory.sitting import sit
from evolve.errors import BudgetExceededError, InfrastructureError, ModelError, UsageError
from evolve.meta.architect import Diagnosing, Request
from evolve.meta.archive import Cell, cell_of, elites
from evolve.meta.breeding import MOST_RETRIEVERS, Pool, Strain, acting, breed, composed, settled, stepped, tunable
from evolve.meta.evaluating import Evaluator, Judge, Judges, digest
from evolve.meta.journal import Failed, Journal
from evolve.meta.parents import choose_parent
from evolve.meta.report import lineage, reported
from evolve.meta.run import Run, Settings
from evolve.meta.sandboxed import NESTED, confined_judge, gated_judge
from evolve.meta.search import Search, as_json
from evolve.meta.selection import Standing, dominates, paired_error, ranked
from evolve.meta.splits import Sealed, split
from evolve.meta.workers import worker_judge
from evolve.types import Prompt, Sandbox
from knowledge.architecture import DesignError
from knowledge.design import Design, built, seeds, signals
from knowledge.genome import Genome, lean

SEEDS = {name: seeds()[name] for name in ("bm25", "hcam", "none")}
POOL = Pool({**signals(), **seeds()}, frozenset(signals()))


def short(exam: Exam) -> Exam:
    events = exam.events[:40]
    there = {event.id for event in events}
    return exam._replace(events=events, questions=tuple(q for q in exam.questions if q.gold <= there)[:8])


EXAMS = [short(exam) for exam in conversations(5, 4)]


class Counting:
    """A judge in this process that counts, and ends the run at some evaluation."""

    def __init__(self, most: int | None = None) -> None:
        self.judged: list[tuple[str, str]] = []
        self._most = most

    def __call__(self, design: Design, exams: Sequence[Exam]) -> list[Grades]:
        if len(self.judged) == self._most:
            raise KeyboardInterrupt
        self.judged += [(digest(design), exam.name) for exam in exams]
        # a clock that says the same in every run
        return [grade(exam, sit(built(design), exam))._replace(seconds=(0.001,)) for exam in exams]


def evaluator_of(
    judge: Judge, journal: Journal, minutes: float | None = None, *, gated: Judge | None = None
) -> Evaluator:
    budget = Budget(Ceilings(attempts=0, minutes=minutes), journal)
    return Evaluator(Judges(judge, judge, gated or judge), journal, budget)


def searched(
    folder: Path,
    *,
    seed: int = 1,
    children: int = 12,
    judge: Counting | None = None,
    minutes: float | None = None,
    architect: object = None,
    gated: Judge | None = None,
) -> Search:
    folder.mkdir(exist_ok=True)
    judge = judge or Counting()
    with Journal(folder / "journal.db") as journal:
        splits = split(EXAMS, journal)
        evaluator = evaluator_of(judge, journal, minutes, gated=gated)
        search = Search(
            SEEDS,
            signals(),
            splits,
            evaluator,
            journal,
            seed=seed,
            children=children,
            parallel=1,
            architect=architect,  # type: ignore[arg-type]
        )
        search.run()
    return search


def told(search: Search) -> str:
    return json.dumps([as_json(member) for member in search.members.values()])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Search, Counting]:
    judge = Counting()
    return searched(tmp_path_factory.mktemp("whole"), judge=judge), judge


# -- selection


def standing(name: str, *marks: float, tokens: float = 100, ms: float = 1, lines: int = 10) -> Standing:
    return Standing(name, marks, tokens, ms, lines)


def test_a_difference_within_one_paired_error_does_not_count() -> None:
    one, other = standing("one", 1, 0, 1, 0, 1), standing("other", 1, 1, 1, 0, 0, lines=11)
    assert dominates(one, other)  # as good, and shorter
    assert not dominates(other, one)
    clear = standing("clear", 1, 1, 1, 1, 1, lines=11)
    assert not dominates(clear, one)  # better, and longer
    assert dominates(clear._replace(lines=10), one)


def test_pairing_takes_out_what_makes_a_question_hard_for_everyone() -> None:
    hard = [0.0, 1.0, 0.0, 1.0, 0.5]
    assert paired_error([mark + 0.1 for mark in hard], hard) == pytest.approx(0.0)
    assert standing("it", *hard).lcb < standing("it", *hard).quality


def test_latency_that_nobody_notices_does_not_count() -> None:
    assert not dominates(standing("quick", 1, 0, ms=0.1), standing("slow", 1, 0, ms=20))
    assert dominates(standing("quick", 1, 0, ms=0.1), standing("slow", 1, 0, ms=200))


def test_fronts_come_in_order_and_within_one_the_best_first() -> None:
    best = standing("best", 1, 1, 1, 1)
    small = standing("small", 0, 0, 1, 0, lines=1)
    worse = standing("worse", 0, 0, 1, 0, lines=20)
    assert [one.name for one in ranked([worse, small, best])] == ["best", "small", "worse"]


def test_a_good_parent_is_likelier_and_one_that_was_often_taken_less_so() -> None:
    good, poor = standing("good", *[0.8] * 9), standing("poor", *[0.6] * 9)
    fresh = Counter(choose_parent([good, poor], {}, Random(i)) for i in range(200))
    tired = Counter(choose_parent([good, poor], {"good": 10_000}, Random(i)) for i in range(200))
    assert 150 < fresh["good"] < 200
    assert tired["good"] < fresh["good"]


def test_the_archive_keeps_the_best_of_each_kind() -> None:
    assert cell_of(lean(seeds()["bm25"].source)) == Cell("flat", "lexical", model=False)
    assert cell_of(lean(seeds()["hcam"].source)) == Cell("linked", "lexical", model=True)
    flat, linked = Cell("flat", "lexical", model=False), Cell("linked", "lexical", model=False)
    standings = [standing("a", 0, 1), standing("b", 1, 1), standing("c", 0, 0)]
    found = elites(standings, {"a": flat, "b": flat, "c": linked})
    assert {cell: one.name for cell, one in found.items()} == {flat: "b", linked: "c"}


# -- breeding


def test_children_differ_from_their_parents_can_be_composed_and_are_drawn_from_the_rng_alone() -> None:
    strain, mate = Strain(Genome.of("bm25"), {}), Strain(Genome.of("hcam"), {"hcam_b": 0.5})
    operators = set()
    for number in range(120):
        proposal = breed(strain, mate, POOL, Random(number))
        assert proposal == breed(strain, mate, POOL, Random(number))
        assert proposal.strain != strain
        built(composed("x", proposal.strain, POOL))
        assert len(proposal.strain.genome.retrieve) <= MOST_RETRIEVERS
        operators.add(proposal.operator)
        strain = proposal.strain
    assert operators == {"recombine", "blend", "cross", "drop", "tune"}


def test_steps_stay_within_the_bounds_and_whole_numbers_stay_whole() -> None:
    strain = Strain(Genome("hcam", "hcam", (("hcam", 1.0), ("coverage", 0.2)), "hcam"), {})
    known = tunable(strain, POOL)
    assert {"weight_coverage", "coverage_reach", "hcam_b"} <= known.keys()
    for number in range(60):
        strain = stepped(strain, POOL, Random(number))
        for key, value in strain.params.items():
            assert known[key].low <= value <= known[key].high
            assert not known[key].whole or value == int(value)
    built(composed("x", strain, POOL))


def test_what_is_inherited_from_verbatim_comes_from_a_design_that_is_needed_anyway() -> None:
    scattered = Genome("bm25", "hybrid", (("hcam", 1.0),), "recent")
    assert settled(scattered, POOL) == Genome("hcam", "hcam", (("hcam", 1.0),), settled(scattered, POOL).manage)
    assert settled(scattered, POOL).manage in {"bm25", "recent", "dense", "hybrid", "window"}
    own = Genome("none", "voyager", (("bm25", 1.0),), "hcam")
    assert settled(own, POOL) == own


def test_settling_changes_no_answer() -> None:
    exam, rng = EXAMS[0], Random(1)
    for _ in range(12):
        encode, store, retrieve, manage = rng.choices(POOL.whole, k=4)
        genome = Genome(encode, store, ((retrieve, 1.0),), manage)
        designs = [composed("x", Strain(each, {}), POOL) for each in (genome, settled(genome, POOL))]
        try:
            found = [sit(built(design), exam) for design in designs]
        except DesignError:
            continue
        assert [reply.found for reply in found[0].replies] == [reply.found for reply in found[1].replies]


def test_what_has_no_say_makes_no_child() -> None:
    parent = Strain(Genome.of("bm25"), {})
    for other in ("recent", "hybrid"):
        assert acting(Strain(Genome(other, "bm25", (("bm25", 1.0),), other), {}), POOL) == acting(parent, POOL)
    assert acting(Strain(Genome.of("bm25"), {"hcam_b": 0.1}), POOL) == acting(parent, POOL)
    assert acting(Strain(Genome.of("bm25"), {"bm25_b": 0.1}), POOL) != acting(parent, POOL)
    for number in range(60):
        child = breed(parent, parent, POOL, Random(number))
        assert acting(child.strain, POOL) != acting(parent, POOL), child


def test_only_what_the_programs_in_use_speak_of_is_stepped() -> None:
    strain = Strain(Genome("hcam", "bm25", (("bm25", 1.0),), "bm25"), {})
    assert not [key for key in tunable(strain, POOL) if key in {"hcam_beside", "hcam_chunk_b"}]


# -- splits and the sealed test


def test_whole_conversations_are_split_by_name(tmp_path: Path) -> None:
    seven = [EXAMS[0]._replace(name=f"conv-{number}") for number in (50, 26, 30, 41, 42, 43, 44)]
    with Journal(tmp_path / "journal.db") as journal:
        parts = split(seven, journal)
        assert [exam.name for exam in parts.reflect] == ["conv-26", "conv-30"]
        assert [exam.name for exam in parts.select] == ["conv-41", "conv-42", "conv-43"]
        assert parts.test.names == ("conv-44", "conv-50")
        for count in (3, 4, 5, 10):
            few = split([EXAMS[0]._replace(name=str(number)) for number in range(count)], journal)
            assert all((few.reflect, few.select, few.test.names))
        with pytest.raises(UsageError, match="at least 3"):
            split(seven[:2], journal)
        with pytest.raises(UsageError, match="one name"):
            split([EXAMS[0]] * 4, journal)


def test_the_sealed_test_opens_for_one_winner_even_after_a_restart(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.db") as journal:
        assert Sealed(EXAMS, journal).open("c3") == tuple(EXAMS)
    with Journal(tmp_path / "journal.db") as journal:
        assert Sealed(EXAMS, journal).open("c3") == tuple(EXAMS)
        with pytest.raises(UsageError, match="was opened for c3"):
            Sealed(EXAMS, journal).open("c4")


# -- the journal


def test_verdicts_come_back_as_they_were(tmp_path: Path) -> None:
    grades = grade(EXAMS[0], sit(built(SEEDS["bm25"]), EXAMS[0]))
    with Journal(tmp_path / "journal.db") as journal:
        journal.record_verdict("a", "one", grades)
        journal.record_verdict("a", "two", Failed("build", "no"))
    with Journal(tmp_path / "journal.db") as journal:
        assert journal.verdict("a", "one") == grades
        assert journal.verdict("a", "two") == Failed("build", "no")
        assert journal.verdict("b", "one") is None


def test_a_file_of_another_program_is_no_journal(tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "journal.db") as other:
        other.execute("CREATE TABLE mine (it)")
    other.close()
    with pytest.raises(UsageError, match="another program"):
        Journal(tmp_path / "journal.db")


# -- the loop


def test_a_run_makes_what_it_was_asked_to_and_never_reads_the_test(whole: tuple[Search, Counting]) -> None:
    search, judge = whole
    assert [name for name, member in search.members.items() if member.parents] == [f"c{i}" for i in range(1, 13)]
    assert EXAMS[-1].name == max(exam.name for exam in EXAMS)
    assert EXAMS[-1].name not in {exam for _, exam in judge.judged}
    assert len(set(judge.judged)) == len(judge.judged)


def test_few_children_reach_the_dear_gates(whole: tuple[Search, Counting]) -> None:
    children = [member for member in whole[0].members.values() if member.parents]
    assert 1 <= sum(child.select is not None for child in children) <= 4
    assert all(member.select is not None for member in whole[0].members.values() if not member.parents)


def test_the_same_seed_comes_to_the_same_lineage_and_another_to_another(
    whole: tuple[Search, Counting], tmp_path: Path
) -> None:
    assert told(searched(tmp_path / "again")) == told(whole[0])
    assert told(searched(tmp_path / "other", seed=2)) != told(whole[0])


@pytest.mark.parametrize("most", [5, 40])
def test_a_run_that_was_killed_ends_as_one_that_was_not(
    most: int, whole: tuple[Search, Counting], tmp_path: Path
) -> None:
    first = Counting(most)
    with pytest.raises(KeyboardInterrupt):
        searched(tmp_path, judge=first)
    second = Counting()
    assert told(searched(tmp_path, judge=second)) == told(whole[0])
    assert len(first.judged) == most
    assert Counter(first.judged + second.judged) == Counter(whole[1].judged)


def test_time_ends_a_run_between_rounds_and_is_kept_over_resumptions(tmp_path: Path) -> None:
    search = searched(tmp_path, minutes=1e-9)
    assert not [member for member in search.members.values() if member.parents]
    with Journal(tmp_path / "journal.db") as journal:
        assert evaluator_of(Counting(), journal).seconds > float(journal.fact("seconds")) > 0
        journal.record_fact("seconds", "61")
        spent = evaluator_of(Counting(), journal, 1.0)
        with pytest.raises(BudgetExceededError):
            spent.grades(Design("x", "new"), EXAMS[:1], trusted=True)
        known = spent.grades(SEEDS["bm25"], split(EXAMS, journal).reflect, trusted=True)
        assert not isinstance(known, Failed)


class Scripted:
    """An architect who first answers nothing, then what does not work, then a design of worth."""

    def __init__(self) -> None:
        self.asked: list[Request] = []

    def propose(self, request: Request, rng: Random) -> Redesign:
        del rng
        self.asked.append(request)
        match len(self.asked) % 3:
            case 1:
                return Redesign(None, "", problem="the reply holds no module")
            case 2:
                return Redesign(Design(request.name, "raise RuntimeError('at import')"), "broke it")
        source = SEEDS["bm25"].source.replace("Param(0.75,", "Param(0.5,") + "\nX = 1\n"
        return Redesign(Design(request.name, source), "flattened length")


def test_a_child_that_fails_is_data_and_the_round_goes_on(tmp_path: Path) -> None:
    architect = Scripted()
    search = searched(tmp_path, architect=architect)
    written = [member for member in search.members.values() if member.operator == "write"]
    assert len(written) == len(architect.asked) == 8
    assert written[0].failure == Failed("design", "the reply holds no module")
    assert written[1].failure == Failed("import", "RuntimeError: at import")
    assert written[2].failure is None or "as its parent" in written[2].failure.reason
    assert len(search.members) == len(SEEDS) + 12


def test_a_model_is_asked_once_for_each_child_whatever_happens_to_the_run(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        searched(tmp_path, architect=Scripted(), judge=Counting(14))
    again = Scripted()
    searched(tmp_path, architect=again, children=4)
    assert again.asked == []


# -- what models write


HOSTILE = {
    "raises": "",
    "garbage_operations": "",
    "grows": "store: Add:",
    "moody": "answered otherwise",
    "keeps_to_itself": "started anew",
    "loops": "did not answer in time",
    "leaves": "",
    "imports_more": "imports",
}
BRIEF = LIMITS.model_copy(update={"seconds": 2.0})


class Hostile:
    """An architect who answers with one cheat after the other, then with what is nested too deeply."""

    def __init__(self) -> None:
        folder = Path(__file__).parent / "cheats" / "memory"
        self.sources = {name: (folder / f"{name}.py").read_text() for name in HOSTILE}
        self.sources["nested"] = SEEDS["bm25"].source + f"\nX = {'-' * NESTED}1\n"
        self.sources["honest"] = SEEDS["bm25"].source.replace("query.k, k1", "query.k + 1, k1")
        self.said: dict[str, str] = {}

    def propose(self, request: Request, rng: Random) -> Redesign:
        del rng
        name = list(self.sources)[len(self.said) % len(self.sources)]
        self.said[request.name] = name
        return Redesign(Design(request.name, self.sources[name]), name)


def test_hostile_modules_are_failed_children_with_the_reason_and_the_round_goes_on(
    tmp_path: Path, process: Sandbox
) -> None:
    gated, architect = gated_judge(process, limits=BRIEF), Hostile()
    with Journal(tmp_path / "journal.db") as journal:
        splits = split(EXAMS, journal)
        judges = Judges(Counting(), confined_judge(process, limits=BRIEF), gated)
        evaluator = Evaluator(judges, journal, Budget(Ceilings(attempts=0), journal))
        search = Search(
            SEEDS, signals(), splits, evaluator, journal, seed=1, children=22, parallel=1, architect=architect
        )
        search.run()
        report = reported(search, splits, evaluator).as_json()
    failures = {failure["id"]: f"{failure['method']}: {failure['reason']}" for failure in report["failures"]}
    assert len(architect.said) == 12
    for child, name in architect.said.items():
        if name != "honest":
            assert {**HOSTILE, "nested": "levels deep"}[name] in failures[child]
            assert search.members[child].stage == "made"
    [honest] = [child for child, name in architect.said.items() if name == "honest"]
    assert search.members[honest].failure is None or "as its parent" in failures[honest]
    made_of = {
        part for member in search.members.values() if member.operator != "write" for part in member.strain.genome.parts
    }
    assert not made_of & (architect.said.keys() - {honest})


def test_a_module_passes_the_gates_once_and_what_is_made_of_it_is_not_trusted(tmp_path: Path) -> None:
    gated = Counting()
    search = searched(tmp_path, architect=Worthy(), gated=gated, children=16)
    admitted = {name for name, member in search.members.items() if member.operator == "write" and not member.failure}
    assert admitted
    texts = [search.members[name].design.source for name in admitted]
    assert len(gated.judged) == len({design for design, _ in gated.judged}) >= len(set(texts))
    for member in search.members.values():
        assert member.trusted == (not set(member.strain.genome.parts) & admitted and member.operator != "write")


class Worthy:
    """An architect whose designs differ from each other, and work."""

    def propose(self, request: Request, rng: Random) -> Redesign:
        del rng
        deeper = f"2 * query.k + {request.name[1:]}, k1"
        return Redesign(Design(request.name, SEEDS["bm25"].source.replace("query.k, k1", deeper)), "deeper")


# -- what models cost


MODULE = SEEDS["bm25"].source.replace("query.k, k1", "query.k + 1, k1")


def asked(
    folder: Path,
    model: ScriptedModel,
    process: Sandbox,
    *,
    clock: Callable[[], float] = time.monotonic,
    **ceilings: float,
) -> tuple[Search, Budget]:
    """A run of one round with a model, from bm25 alone."""
    with Journal(folder / "journal.db") as journal:
        budget = Budget(Ceilings.model_validate({"attempts": 0, **ceilings}), journal, clock)
        judge = Counting()
        evaluator = Evaluator(Judges(judge, judge, judge), journal, budget)
        architect = Diagnosing(Architect(MeteredModel(model, journal, budget)), process)
        search = Search(
            {"bm25": SEEDS["bm25"]}, {}, split(EXAMS, journal), evaluator, journal,
            seed=1, children=8, parallel=1, architect=architect,
        )  # fmt: skip
        search.run()
    return search, budget


def replies(count: int) -> list[str]:
    return [f"```python\n{MODULE.replace('+ 1', f'+ {number}')}```\ntechnique: deeper\n" for number in range(count)]


def test_costs_are_summed_over_resumptions_and_nothing_is_paid_twice(tmp_path: Path, process: Sandbox) -> None:
    first = ScriptedModel([*replies(2), ModelError("the account is empty")])
    with pytest.raises(ModelError, match="account is empty"):
        asked(tmp_path, first, process)
    second = ScriptedModel(replies(4)[2:])
    search, budget = asked(tmp_path, second, process)
    assert [len(first.prompts), len(second.prompts)] == [3, 2]
    assert [prompt.key for prompt in second.prompts] == ["c3/architect/1", "c4/architect/1"]
    assert len(search.members) == 9
    _, again = asked(tmp_path, ScriptedModel([]), process)
    assert again.spent == budget.spent
    assert budget.spent.completion_tokens == sum(len(reply) // 4 for reply in replies(4))


def test_a_repair_that_was_killed_does_not_pay_for_the_first_answer_again(tmp_path: Path, process: Sandbox) -> None:
    with pytest.raises(ModelError):
        asked(tmp_path, ScriptedModel(["no module", ModelError("gone")]), process)
    again = ScriptedModel(replies(4))
    asked(tmp_path, again, process)
    assert again.prompts[0].key == "c1/architect/2"


def test_the_round_that_tokens_end_is_judged_as_far_as_it_was_paid_for(tmp_path: Path, process: Sandbox) -> None:
    whole = ScriptedModel(replies(4))
    (tmp_path / "whole").mkdir()
    _, budget = asked(tmp_path / "whole", whole, process)
    (tmp_path / "part").mkdir()
    tokens = budget.spent.prompt_tokens + budget.spent.completion_tokens
    model = ScriptedModel(replies(4))
    search, spent = asked(tmp_path / "part", model, process, tokens=tokens // 2 + 6144)
    written = [member for member in search.members.values() if member.operator == "write"]
    assert 1 <= len(written) == len(model.prompts) < 4
    assert len(search.members) == 1 + len(written)
    assert all(member.failure or member.stage != "made" for member in written)
    assert spent.spent.prompt_tokens + spent.spent.completion_tokens <= tokens // 2 + 6144
    again = ScriptedModel([])
    assert told(asked(tmp_path / "part", again, process, tokens=tokens // 2 + 6144)[0]) == told(search)


def test_no_model_is_asked_after_the_last_minute(tmp_path: Path, process: Sandbox) -> None:
    model = ScriptedModel(replies(4))
    search, _ = asked(tmp_path, model, process, minutes=1e-9)
    assert not model.prompts
    assert len(search.members) == 1


def test_a_call_that_the_last_minute_cut_off_is_no_failed_child(tmp_path: Path, process: Sandbox) -> None:
    now = [0.0]

    def late(prompt: Prompt) -> str:
        del prompt
        now[0] = 61.0
        raise ModelError("did not answer in time", fatal=False)

    search, _ = asked(tmp_path, ScriptedModel(late), process, clock=lambda: now[0], minutes=1.0)
    assert len(search.members) == 1
    with Journal(tmp_path / "journal.db") as journal:
        assert journal.reply("c1") is None


def test_a_model_that_fails_for_now_is_a_failed_child(tmp_path: Path, process: Sandbox) -> None:
    model = ScriptedModel([ModelError("overloaded", fatal=False), *replies(3)])
    search, _ = asked(tmp_path, model, process)
    assert search.members["c1"].failure == Failed("design", "overloaded")
    assert len(search.members) == 9


def test_seeds_that_cannot_be_judged_are_left_out(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.db") as journal:
        evaluator = evaluator_of(Counting(), journal)
        wrong = {"broken": Design("broken", "PARAMS = {}")}
        parts = split(EXAMS, journal)
        search = Search({**SEEDS, **wrong}, {}, parts, evaluator, journal, seed=1, children=1, parallel=1)
        search.run()
        assert search.members["broken"].failure is not None
        with pytest.raises(UsageError, match="none of the seeds"):
            Search(wrong, {}, parts, evaluator, journal, seed=1, children=1).run()


# -- the report


def test_a_report_measures_the_winner_on_the_sealed_test_and_says_where_it_comes_from(tmp_path: Path) -> None:
    searched(tmp_path)
    judge = Counting()
    with Journal(tmp_path / "journal.db") as journal:
        splits = split(EXAMS, journal)
        evaluator = evaluator_of(judge, journal, gated=Counting())
        search = Search(SEEDS, signals(), splits, evaluator, journal, seed=1, children=12, parallel=1)
        search.run()
        report = reported(search, splits, evaluator)
    test = report.outcome.as_json()
    assert {exam for _, exam in judge.judged} == {EXAMS[-1].name} == set(test["exams"])
    assert test["winner"]["recall@10"] - test["seed"]["recall@10"] == pytest.approx(test["difference"]["mean"])
    assert {row["name"] for row in report.table} >= set(SEEDS)
    assert report.lineage[0]["operator"] == "seed"
    assert report.lineage[-1]["id"] == report.outcome.winner.name
    assert report.tree.splitlines()[0].startswith(report.outcome.winner.name)
    report.save(tmp_path)
    saved = json.loads((tmp_path / "winner.json").read_text())
    assert built(Design("again", (tmp_path / "winner.py").read_text(), saved["params"]))


def test_a_winner_that_does_something_else_in_a_sandbox_is_passed_over(tmp_path: Path) -> None:
    def nothing(design: Design, exams: Sequence[Exam]) -> list[Grades]:
        raise DesignError("build", f"{design.name} does not work in {exams[0].name}")

    with Journal(tmp_path / "journal.db") as journal:
        splits = split(EXAMS, journal)
        evaluator = evaluator_of(Counting(), journal, gated=nothing)
        search = Search(SEEDS, signals(), splits, evaluator, journal, seed=1, children=12, parallel=1)
        search.run()
        report = reported(search, splits, evaluator)
    assert not report.outcome.winner.parents
    assert lineage(search.members, "bm25") == [as_json(search.members["bm25"])]


# -- the folder, and the workers


def test_runs_are_found_by_the_beginning_of_their_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVOLVE_HOME", str(tmp_path))
    settings = Settings(
        run="20260101-a", data="", exams="", model="offline", seed=1, children=1, minutes=None, sandbox="process"
    )
    with pytest.raises(UsageError, match="none yet"):
        Run.open("2026")
    Run.create(settings)
    assert Run.open("2026").settings == settings
    Run.create(settings.model_copy(update={"run": "20260102-b"}))
    with pytest.raises(UsageError, match="20260101-a, 20260102-b"):
        Run.open("2026")
    with (
        Run.open("20260101").locked(),
        pytest.raises(UsageError, match="another process"),
        Run.open("20260101").locked(),
    ):
        pass


def test_workers_judge_as_this_process_does_and_say_what_went_wrong() -> None:
    with worker_judge(EXAMS[:1], 1) as judge:
        [found] = judge(SEEDS["hcam"], EXAMS[:1])
        assert found.recall10 == grade(EXAMS[0], sit(built(SEEDS["hcam"]), EXAMS[0])).recall10
        with pytest.raises(DesignError, match="no PARAMS"):
            judge(Design("x", "build = 1"), EXAMS[:1])


WAITS = """
import time
from knowledge.architecture import Verbatim
PARAMS = {}
def build(params):
    %s
"""


def test_workers_count_processor_time_so_that_a_busy_machine_fails_nobody() -> None:
    with worker_judge(EXAMS[:1], 1, seconds=0.5) as judge:
        with pytest.raises(DesignError, match=r"more than 0\.5 s of processor time"):
            judge(Design("x", WAITS % "while True: pass"), EXAMS[:1])
        with pytest.raises(DesignError, match="has no retrieve"):
            judge(Design("x", WAITS % "time.sleep(1.0); return Verbatim()"), EXAMS[:1])


def test_a_worker_that_was_killed_is_no_fault_of_the_design(tmp_path: Path) -> None:
    killed = Design("x", "import os\nos.kill(os.getpid(), 9)\n")
    with (
        worker_judge(EXAMS[:1], 1) as judge,
        Journal(tmp_path / "journal.db") as journal,
        pytest.raises(InfrastructureError, match="worker process was killed"),
    ):
        evaluator_of(judge, journal).grades(killed, EXAMS[:1], trusted=True)
    with Journal(tmp_path / "journal.db") as journal:
        assert journal.verdict(digest(killed), EXAMS[0].name) is None
