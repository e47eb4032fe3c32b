"""The offline writer: what it tries first, and what it never tries again."""

from collections import Counter
from collections.abc import Iterator, Mapping
from random import Random

from agents.offline import OfflineWriter, evidence
from agents.writer import Brief, Draft, Writer
from evolve.domains.kernels.transform import mutations as kernel_mutations
from evolve.types import DRAFT, REFINE, Attempt, Candidate, Evaluation, Experience, Mutation, Profile, Recalled, Task

TECHNIQUES = ("apple", "banana", "cherry", "damson", "elder")
TASK = Task(id="toy/word", domain="toy", prompt="", files={"word.txt": "seed"})


def toy(task: Task, files: Mapping[str, str], rng: Random) -> Iterator[Mutation]:
    """Appends a fruit, each at most twice."""
    del task
    order = [(name, number) for name in TECHNIQUES for number in (1, 2)]
    rng.shuffle(order)
    for name, number in order:
        word = f"{name}{number}"
        if word not in files["word.txt"]:
            yield Mutation(name, f"number {number}", {"word.txt": f"{files['word.txt']} {word}"})


def attempt(word: str = "start", *, feasible: bool = True, bottleneck: str = "") -> Attempt:
    judged = Evaluation(score=1.0 if feasible else None, profile=Profile(bottleneck=bottleneck))
    return Attempt(
        id="run/1", task=TASK.id, position=1, candidate=Candidate(files={"word.txt": word}), evaluation=judged
    )


def recall(technique: str, kind: str = "trace", gain: float = 0.0, **more: object) -> Recalled:
    value = float(str(more.pop("value", 0.0)))
    metrics = {"gain": gain, "n": 5.0} if kind == "insight" else {"gain": gain}
    known = {"id": f"e-{technique}", "kind": kind, "text": "", "technique": technique, "metrics": metrics, **more}
    return Recalled(Experience.model_validate(known), similarity=0.8, value=value, why="")


def brief(
    seed: int,
    *recalled: Recalled,
    parent: Attempt | None = None,
    last: Attempt | None = None,
    tried: frozenset[str] = frozenset(),
    task: Task = TASK,
) -> Brief:
    stage = DRAFT if parent is None else REFINE
    return Brief(f"run/{seed}", task, stage, parent, last, recalled, tried, Random(seed))


def first_choices(*recalled: Recalled, bottleneck: str = "") -> Counter[str]:
    """The first technique of 300 refinements."""
    writer, parent = OfflineWriter(toy), attempt(bottleneck=bottleneck)
    drafts = [writer.write(brief(seed, *recalled, parent=parent)) for seed in range(300)]
    return Counter(draft.technique.split(" + ")[0] for draft in drafts)


def test_it_is_a_writer_with_a_name() -> None:
    writer: Writer = OfflineWriter(toy)
    assert writer.name == "offline"


def test_the_same_brief_gives_the_same_draft() -> None:
    writer = OfflineWriter(toy)
    for seed in range(50):
        known = (recall("apple", gain=0.5), recall("cherry", kind="failure"))
        one, other = (writer.write(brief(seed, *known, parent=attempt())) for _ in range(2))
        assert one == other


def test_without_knowledge_every_technique_gets_its_share() -> None:
    chosen = first_choices()
    assert set(chosen) == set(TECHNIQUES)
    assert max(chosen.values()) < 0.35 * chosen.total()


def test_a_technique_that_gained_is_tried_first() -> None:
    assert first_choices(recall("cherry", gain=1.5))["cherry"] > 2 * first_choices()["cherry"]


def test_a_technique_that_failed_is_tried_less() -> None:
    assert first_choices(recall("cherry", kind="failure"))["cherry"] < 0.6 * first_choices()["cherry"]


def test_a_learnt_value_shifts_what_is_tried() -> None:
    assert first_choices(recall("apple", value=1.5))["apple"] > 1.5 * first_choices()["apple"]


def test_an_insight_outweighs_a_trace_that_says_otherwise() -> None:
    believed = evidence([recall("apple", kind="insight", gain=1.0), recall("apple", gain=-1.0)], "")
    assert believed["apple"] > 0


def test_evidence_for_the_state_at_hand_counts_more() -> None:
    known = [
        recall("apple", kind="insight", gain=1.0, state="not_vectorized"),
        recall("apple", kind="insight", gain=-1.0, state="compute_saturated"),
    ]
    assert evidence(known, "not_vectorized")["apple"] > 0 > evidence(known, "compute_saturated")["apple"]


def test_a_recipe_that_went_far_on_another_task_speaks_for_its_steps() -> None:
    known = recall("elder", gain=0.1, task="toy/other", recipe=("cherry", "elder"))
    far = known._replace(experience=known.experience.model_copy(update={"metrics": {"gain": 0.1, "score": 30.0}}))
    assert evidence([far], "", TASK.id)["cherry"] > 0.3
    assert "cherry" not in evidence([far], "", "toy/other")


def test_what_an_insight_expects_counts_before_its_mean_gain() -> None:
    known = recall("apple", kind="insight", gain=1.0)
    doubtful = known.experience.model_copy(update={"metrics": {"n": 2.0, "gain": 1.0, "expected": -0.2}})
    assert evidence([known._replace(experience=doubtful)], "")["apple"] < 0


def test_evidence_is_bounded_so_that_nothing_is_ruled_out() -> None:
    chosen = first_choices(*[recall("apple", kind="insight", gain=50.0) for _ in range(5)])
    assert chosen["apple"] < chosen.total()


def test_what_was_tried_is_not_written_again() -> None:
    writer, tried = OfflineWriter(toy), set[str]()
    for seed in range(60):
        draft = writer.write(brief(seed, parent=attempt(), tried=frozenset(tried)))
        found = Candidate(files=draft.files).id
        assert found not in tried
        tried.add(found)


def test_some_refinements_take_two_steps() -> None:
    writer = OfflineWriter(toy)
    drafts = [writer.write(brief(seed, parent=attempt())) for seed in range(200)]
    pairs = sum(" + " in draft.technique for draft in drafts)
    assert 0.2 < pairs / 200 < 0.55


def test_the_first_draft_changes_the_seed() -> None:
    draft = OfflineWriter(toy).write(brief(1))
    assert draft.files["word.txt"].startswith("seed ")
    assert draft.technique.split(" + ")[0] in TECHNIQUES


def test_after_a_draft_that_failed_the_seed_itself_is_drafted() -> None:
    draft = OfflineWriter(toy).write(brief(1, last=attempt(feasible=False)))
    assert draft == Draft({"word.txt": "seed"}, "seed")


def test_a_recalled_recipe_is_followed_without_the_steps_that_do_not_apply() -> None:
    known = recall("elder", gain=0.7, recipe=("cherry", "mango", "apple + elder"))
    drafts = [OfflineWriter(toy).write(brief(seed, known)) for seed in range(40)]
    followed = [draft for draft in drafts if draft.technique == "cherry + apple + elder"]
    assert len(followed) > 20
    assert all(draft.used == ("e-elder",) for draft in followed)


def test_the_recipe_of_a_failure_is_not_followed() -> None:
    known = recall("elder", kind="failure", recipe=("cherry", "apple", "elder"))
    drafts = [OfflineWriter(toy).write(brief(seed, known)) for seed in range(40)]
    assert all(draft.technique != "cherry + apple + elder" for draft in drafts)


def test_nothing_left_to_try_is_a_problem_not_a_repeat() -> None:
    draft = OfflineWriter(lambda _task, _files, _rng: ()).write(brief(1, parent=attempt()))
    assert draft.files == {}
    assert "tried" in draft.problem


def test_a_task_without_a_seed_is_a_problem_that_says_what_to_do() -> None:
    draft = OfflineWriter(toy).write(brief(1, task=Task(id="toy/empty", domain="toy", prompt="")))
    assert "seed" in draft.problem


def test_a_parent_that_cannot_be_parsed_falls_back_to_the_seed() -> None:
    def kernels(task: Task, files: Mapping[str, str], rng: Random) -> Iterator[Mutation]:
        del task
        for technique, detail, text in kernel_mutations(files["kernel.c"], rng):
            yield Mutation(technique, detail, {"kernel.c": text})

    source = "void kernel(const float *x, float *y, long n) { for (long i = 0; i < n; i++) y[i] = x[i]; }"
    task = Task(id="kernels/copy", domain="kernels", prompt="", files={"kernel.c": source})
    unreadable = Candidate(files={"kernel.c": "__m512 x;"})
    parent = Attempt(id="run/1", task=task.id, position=1, candidate=unreadable, evaluation=Evaluation(score=1.0))
    draft = OfflineWriter(kernels).write(brief(1, parent=parent, task=task))
    assert draft.problem == ""
    assert "kernel" in draft.files["kernel.c"]
