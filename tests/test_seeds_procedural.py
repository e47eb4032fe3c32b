"""The seeds that learn how things are done: each one's own mechanism."""

from collections.abc import Iterable, Sequence

import pytest

from knowledge.architecture import (
    ACTIVE,
    EXPIRED,
    JSON,
    SUPERSEDED,
    BankView,
    Ctx,
    Event,
    MemoryArchitecture,
    Op,
    Query,
    Receipt,
    Record,
    Retrieval,
    Trigger,
)
from knowledge.design import Design, built, seeds
from knowledge.trial import Ask, Trial, no_model

SEEDS = ("dynamic_cheatsheet", "skillweaver", "g_memory", "agent_kb", "memp", "evolver")
CODE = "void scale(float *values, int count) { for (int i = 0; i < count; i++) values[i] *= 2; }\n"
NOW = 1e9


def at_work(name: str, ask: Ask = no_model, **params: float) -> Trial:
    return Trial(built(Design(name, seeds()[name].source, params)), ask=ask)


def saying(*answers: str) -> Ask:
    """A model that gives these answers in turn, the last one for ever."""
    left = list(answers)

    def ask(prompt: str, most: int) -> str:
        del prompt, most
        return left.pop(0) if len(left) > 1 else left[0]

    return ask


def answering(**starts: str) -> Ask:
    """A model whose answer depends on the first word of the prompt; nothing for any other."""

    def ask(prompt: str, most: int) -> str:
        del most
        return starts.get(prompt.split(maxsplit=1)[0], "")

    return ask


def attempt(
    name: str,
    technique: str,
    *,
    task: str = "kernel/softmax",
    state: str = "memory bound",
    gain: float | None = 0.2,
    code: str = "",
) -> Event:
    """`gain` None: it failed."""
    outcome = "It is wrong." if gain is None else f"It runs, gain {gain}."
    data: dict[str, JSON] = {"task": task, "state": state, "technique": technique, "feasible": gain is not None}
    known: dict[str, JSON] = ({} if gain is None else {"gain": gain}) | ({"code": code} if code else {})
    text = f"{task}: {technique}, {state}. {outcome}"
    return Event(name, "attempt", text, NOW + int(name[1:]), scope=task, data={**data, **known})


def message(name: str, text: str, scope: str = "s1") -> Event:
    return Event(name, "message", text, NOW + int(name[1:]), actor="Ann", scope=scope)


def fed(trial: Trial, events: Iterable[Event]) -> Trial:
    for event in events:
        trial.ingest(event)
    return trial


def ask_for(trial: Trial, text: str, k: int = 10, **where: JSON) -> list[Record]:
    found = trial.retrieve(Query(text, NOW + 1e6, k=k, where=where))
    return [known(trial, hit.id) for hit in found.hits]


def known(trial: Trial, name: str) -> Record:
    record = trial.bank.get(name)
    assert record is not None
    return record


def kept(trial: Trial, kind: str, status: str = ACTIVE) -> list[Record]:
    return list(trial.bank.iter(status=status, kind=kind))


def felt(trial: Trial, records: Sequence[Record], reward: float, text: str = "anything") -> None:
    trial.feedback(Receipt(Query(text, NOW + 1e6), tuple(record.id for record in records)), reward)


def life() -> list[Event]:
    """Something of everything."""
    doings = [("tile", 0.4), ("unroll", None), ("tile", 0.5), ("vectorize", 0.1), ("unroll", None), ("tile", None)]
    tried = [
        attempt(f"a{n}", name, gain=gain, task=f"kernel/{n % 3}", code=CODE) for n, (name, gain) in enumerate(doings)
    ]
    talk = [
        "Ann: I adopted a grey cat.",
        "Ben: I moved to Lyon in May.",
        "Ann: The cat is called Moss.",
        "Ben: ☃ naïve",
    ]
    said = [message(f"m{n + 10}", text, scope=f"s{n // 2}") for n, text in enumerate(talk)]
    steps = Event(
        "t20", "trajectory", "1. Open the form.\n2. Always save first.\n3. Submit.", NOW + 20, data={"feasible": True}
    )
    paper = Event("d21", "document", "Shared memory has banks. Avoid conflicts by padding.", NOW + 21)
    return [*tried, *said, steps, Event("s22", "step", "click", NOW + 22, parent="t20", scope="form"), paper]


def lived(trial: Trial) -> Trial:
    for event in life():
        trial.ingest(event)
        trial.tick(event.time)
    for text in ("tile for a memory bound kernel", "what is the cat called"):
        shown = trial.recall(Query(text, NOW + 1e6, where={"task": "kernel/1", "state": "memory bound"}))
        trial.feedback(shown.receipt, -1.0)
        trial.feedback(shown.receipt, 1.0)
    trial.tick(NOW + 2e6, close=True)
    return trial


# -- what all of them owe


@pytest.mark.parametrize("name", SEEDS)
def test_what_was_told_is_found_again_word_for_word(name: str) -> None:
    trial = fed(at_work(name), life())
    assert all(known(trial, event.id).text == event.text for event in life())
    assert "m12" in [record.id for record in ask_for(trial, "the cat is called Moss", k=2)]


@pytest.mark.parametrize("name", SEEDS)
def test_a_life_lived_again_leaves_the_same_records(name: str) -> None:
    first, again = lived(at_work(name)), lived(at_work(name))
    for status in (ACTIVE, SUPERSEDED, EXPIRED):
        assert list(first.bank.iter(status=status)) == list(again.bank.iter(status=status))


@pytest.mark.parametrize("name", SEEDS)
def test_an_empty_bank_answers_nothing(name: str) -> None:
    trial = at_work(name)
    trial.tick(NOW, close=True)
    assert ask_for(trial, "anything") == []


@pytest.mark.parametrize("name", SEEDS)
@pytest.mark.parametrize("answer", ["", "no", "{]%s 1. ```\n- \nADD:\nEDIT 99: x\nREMOVE 0\n", "- word\n" * 4000])
def test_whatever_a_model_says_nothing_breaks_and_nothing_told_is_lost(name: str, answer: str) -> None:
    trial = lived(at_work(name, ask=saying(answer)))
    assert all(known(trial, event.id).status == ACTIVE for event in life())


class Mixed:
    """Methods of two architectures, as evolution puts them together."""

    def __init__(self, encoding: MemoryArchitecture, other: MemoryArchitecture, managing: MemoryArchitecture) -> None:
        self._parts = encoding, other, managing

    def encode(self, event: Event, ctx: Ctx) -> Iterable[Record]:
        return self._parts[0].encode(event, ctx)

    def store(self, new: Sequence[Record], bank: BankView, ctx: Ctx) -> Iterable[Op]:
        return self._parts[1].store(new, bank, ctx)

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        return self._parts[1].retrieve(query, bank, ctx)

    def manage(self, trigger: Trigger, bank: BankView, ctx: Ctx) -> Iterable[Op]:
        return self._parts[2].manage(trigger, bank, ctx)


@pytest.mark.parametrize("encoding", [*SEEDS, "bm25"])
@pytest.mark.parametrize("other", SEEDS)
def test_methods_of_one_work_on_records_of_another(encoding: str, other: str) -> None:
    for managing in (encoding, other):
        parts = [built(seeds()[name]) for name in (encoding, other, managing)]
        trial = lived(Trial(Mixed(*parts)))
        assert "m12" in [record.id for record in ask_for(trial, "what is the cat called Moss", k=8)]


# -- Dynamic Cheatsheet


def test_a_lesson_met_again_is_counted_and_not_written_twice() -> None:
    trial = fed(at_work("dynamic_cheatsheet"), [attempt(f"a{n}", "tile") for n in range(3)])
    fed(trial, [attempt("a3", "unroll", gain=None)])
    [page] = kept(trial, "cheatsheet")
    assert page.text.splitlines() == ["- memory bound: tile helped", "- memory bound: unroll did not help"]
    assert page.sources == ("a0", "a1", "a2", "a3")


def test_the_sheet_comes_first_and_then_what_is_alike() -> None:
    trial = fed(at_work("dynamic_cheatsheet"), [attempt("a0", "tile"), attempt("a1", "unroll", state="branchy")])
    assert [record.kind for record in ask_for(trial, "unroll branchy")] == ["cheatsheet", "attempt", "attempt"]
    assert ask_for(trial, "unroll branchy")[1].id == "a1"


def test_a_full_sheet_keeps_what_proved_right_most() -> None:
    proven = [attempt(f"a{n}", "tile") for n in range(3)]
    trial = fed(
        at_work("dynamic_cheatsheet", lines=4), [*proven, *(attempt(f"a{n}", f"odd_{n}") for n in range(10, 60))]
    )
    [page] = kept(trial, "cheatsheet")
    assert page.text.splitlines()[0] == "- memory bound: tile helped"
    assert len(page.text.splitlines()) == 4
    assert "odd_59" in page.text
    assert "odd_10 " not in page.text


def test_no_answer_of_a_model_makes_the_sheet_collapse() -> None:
    answers = ("- pad shared memory rows\n- keep reads coalesced", "", "- short", "The sheet is now empty.")
    trial = fed(at_work("dynamic_cheatsheet", ask=saying(*answers)), [attempt("a0", "tile")])
    before = kept(trial, "cheatsheet")[0].text.splitlines()
    fed(trial, [message(f"m{n}", "well then") for n in range(1, 4)])
    assert before == ["- pad shared memory rows", "- keep reads coalesced"]
    assert set(before) < set(kept(trial, "cheatsheet")[0].text.splitlines())


def test_a_line_that_misled_goes_and_the_others_stay() -> None:
    trial = fed(at_work("dynamic_cheatsheet"), [attempt("a0", "tile"), attempt("a1", "unroll", state="branchy code")])
    felt(trial, kept(trial, "cheatsheet"), -1.0, "branchy code to unroll")
    assert kept(trial, "cheatsheet")[0].text == "- memory bound: tile helped"


# -- SkillWeaver


def test_a_skill_is_made_of_correct_code_alone() -> None:
    good, bad = attempt("a0", "simd", code=CODE), attempt("a1", "simd", gain=None, code=CODE)
    trial = fed(at_work("skillweaver"), [bad, message("m5", f"```\n{CODE}```")])
    assert kept(trial, "skill") == []
    [skill] = kept(fed(trial, [good]), "skill")
    assert skill.text.startswith("scale(values, count): simd")
    assert skill.payload == CODE


@pytest.mark.parametrize(
    "body",
    [
        "return eval(path)",
        "return open(path).read()",
        "run = exec; run(path)",
        "import subprocess",
        "return ().__class__",
        "return path // getattr(path, 'x')",
        "return '#' + compile(path)",
        "return popen(path)",
    ],
)
def test_dangerous_python_becomes_no_skill(body: str) -> None:
    for code, skills in (
        (f"def fetch(path, size=4):\n    {body}\n", 0),
        ("def fetch(path, size=4):\n    return path\n", 1),
    ):
        trial = fed(at_work("skillweaver"), [attempt("a0", "read", code=code)])
        assert len(kept(trial, "skill")) == skills


def test_dangerous_c_becomes_no_skill_but_a_comment_may_say_open() -> None:
    for body, skills in (('system("ls");', 0), ("/* ' */ fopen(a, a);", 0), ("// an open question\n", 1)):
        trial = fed(at_work("skillweaver"), [attempt("a0", "call", code=f"int call(char *a) {{ {body} return 0; }}\n")])
        assert len(kept(trial, "skill")) == skills


def test_a_skill_is_found_by_its_function_and_shown_before_other_text() -> None:
    other = CODE.replace("scale", "transpose").replace("count", "rows")
    trial = fed(at_work("skillweaver"), [attempt("a0", "simd", code=CODE), attempt("a1", "blocking", code=other)])
    fed(trial, [message("m5", "Ann: please transpose rows for me")])
    assert ask_for(trial, "transpose rows")[0].text.startswith("transpose(values, rows)")
    assert ask_for(trial, "scale values count")[0].text.startswith("scale(")
    assert "skill" not in {record.kind for record in ask_for(trial, "for me please")}


def test_the_better_of_two_functions_of_one_name_is_kept() -> None:
    faster = CODE.replace("2", "2.0f")
    trial = fed(
        at_work("skillweaver"), [attempt("a0", "simd", code=CODE), attempt("a1", "simd", gain=0.9, code=faster)]
    )
    fed(trial, [attempt("a2", "simd", gain=0.1, code=CODE)])
    assert [skill.payload for skill in kept(trial, "skill")] == [faster]


def test_a_skill_that_failed_when_shown_is_pruned_and_no_other() -> None:
    other = CODE.replace("scale", "shift")
    trial = fed(at_work("skillweaver"), [attempt("a0", "simd", code=CODE), attempt("a1", "simd", code=other)])
    scale, shift = kept(trial, "skill")
    for reward in (1.0, 1.0, -1.0, -1.0):  # no more often than it helped
        felt(trial, [shift], reward)
    for _ in range(2):
        assert scale.id in {skill.id for skill in kept(trial, "skill")}
        felt(trial, [scale], -1.0)
    assert [skill.id for skill in kept(trial, "skill")] == [shift.id]


# -- G-Memory


def node(trial: Trial, about: str) -> Record:
    return next(record for record in kept(trial, "query") if record.meta["about"] == about)


def test_tasks_that_are_alike_are_linked_to_ten_at_most() -> None:
    tasks = [f"matrix product of square blocks {n}" for n in range(14)]
    trial = fed(at_work("g_memory"), [attempt(f"a{n}", "tile", task=task) for n, task in enumerate(tasks)])
    fed(trial, [attempt("a20", "fuse", task="sorting words")])
    out = [link.target for link in node(trial, tasks[-1]).links if link.rel == "similar"]
    assert len(out) == 10
    assert node(trial, "sorting words").id not in out
    assert not [link for link in node(trial, "sorting words").links if link.rel == "similar"]


def related(trial: Trial) -> Trial:
    """Three tasks alike, one of them linked to what is asked only through another, and a stranger."""
    tasks = [
        "softmax over rows of a matrix",
        "softmax over columns of a matrix",
        "stable softmax over columns of tensors",
    ]
    fed(trial, [attempt(f"a{n}", "online_pass", task=task) for n, task in enumerate(tasks)])
    fed(trial, [attempt("a3", "two_pass", task=tasks[0], gain=None), attempt("a4", "radix", task="sorting words")])
    fed(trial, [attempt("a5", "merge_runs", task="sorting words", state="latency bound")])
    trial.tick(NOW + 100, close=True)
    return trial


def test_a_query_goes_up_to_insights_and_down_to_successes_and_failures() -> None:
    trial = related(at_work("g_memory", alike=0.5))
    shown = ask_for(trial, "how to speed up a softmax", task="softmax over rows of a matrix")
    assert shown[0].text == "use online_pass when memory bound"
    assert "avoid two_pass when memory bound" in shown[1].text
    down = [record for record in shown if record.kind != "insight"]
    assert [record.meta["worked"] for record in down[:3]] == [True, True, False]
    assert {record.meta["about"] for record in down[:3]} <= {
        node(trial, t.scope).meta["about"] for t in trial.bank.events(["a0", "a1", "a2"])
    }
    assert not [record for record in shown[:5] if "radix" in record.text]


def test_insights_are_reached_through_a_neighbour_of_the_task_asked_about() -> None:
    for alike, reached in ((0.5, True), (0.95, False)):
        trial = related(at_work("g_memory", alike=alike, floor=0.8))
        fed(trial, [attempt("a7", "split", task="softmax over columns of a matrix", state="small")])
        trial.tick(NOW + 200, close=True)
        ups = ask_for(trial, "zzz", k=3, task="softmax over rows of a matrix")
        assert ("split" in " ".join(record.text for record in ups)) is reached


def test_rules_come_after_five_tasks_gain_by_agreement_and_lose_by_contradiction() -> None:
    trial = at_work("g_memory")
    fed(trial, [attempt(f"a{n}", "tile", task=f"task {n}") for n in range(4)])
    trial.tick(NOW + 4)
    assert kept(trial, "insight") == []
    fed(trial, [attempt("a5", "tile", task="task 5")])
    trial.tick(NOW + 5)
    [rule] = kept(trial, "insight")
    assert (rule.text, rule.meta["score"]) == ("use tile when memory bound", 6)
    fed(trial, [attempt(f"a{n}", "tile", task=f"task {n}", gain=None) for n in range(10, 14)])
    trial.tick(NOW + 14, close=True)
    assert known(trial, rule.id).meta["score"] == 2
    fed(trial, [attempt(f"a{n}", "tile", task=f"task {n}", gain=None) for n in range(20, 22)])
    trial.tick(NOW + 22, close=True)
    assert [record.text for record in kept(trial, "insight")] == ["avoid tile when memory bound"]


def test_a_model_may_add_edit_agree_with_and_remove_rules() -> None:
    answers = ("ADD: cache rows", "AGREE 1", "EDIT 1: cache whole rows", "REMOVE 1\nADD: fuse loops", "REMOVE 1")
    trial = at_work("g_memory", ask=saying(*answers))
    seen = []
    for number in range(5):
        fed(trial, [attempt(f"a{number}", "x", task=f"task {number}")])
        trial.tick(NOW + number, close=True)
        seen.append([(rule.text, rule.meta["score"]) for rule in kept(trial, "insight")])
    assert seen[:3] == [[("cache rows", 2)], [("cache rows", 3)], [("cache whole rows", 3)]]
    assert seen[3:] == [[("cache whole rows", 2), ("fuse loops", 2)], [("cache whole rows", 1), ("fuse loops", 2)]]


def test_where_there_are_ten_rules_a_contradiction_costs_three() -> None:
    trial = fed(at_work("g_memory"), [attempt(f"a{n}", f"method_{n}", task=f"task {n}") for n in range(10)])
    trial.tick(NOW + 10, close=True)
    assert len(kept(trial, "insight")) == 10
    fed(trial, [attempt("a11", "method_3", task="other", gain=None)])
    trial.tick(NOW + 11, close=True)
    assert not [rule for rule in kept(trial, "insight") if rule.text.startswith("use method_3 ")]


def test_after_twenty_tasks_rules_of_one_cluster_that_say_nearly_the_same_are_one() -> None:
    trial = at_work("g_memory", merge=20)
    states = ("memory bound in cache", "memory bound in registers")
    fed(trial, [attempt(f"a{n}", "tile", task="softmax of a matrix", state=states[n % 2]) for n in range(19)])
    fed(trial, [attempt("a20", "tile", task="sorting words", state="memory bound in strings")])
    trial.tick(NOW + 21, close=True)
    merged, *_ = [rule for rule in kept(trial, "insight") if all(state in rule.text for state in states)]
    assert merged.meta["score"] == 2
    assert len(kept(trial, "insight", SUPERSEDED)) == 2
    assert [rule.text for rule in kept(trial, "insight") if "strings" in rule.text] == [
        "use tile when memory bound in strings, as in sorting words"
    ]


def test_feedback_goes_to_the_insights_of_that_answer_alone() -> None:
    trial = related(at_work("g_memory", alike=0.5))
    before = {rule.id: rule.meta["score"] for rule in kept(trial, "insight")}
    shown = trial.recall(Query("softmax", NOW, where={"task": "softmax over rows of a matrix"})).receipt
    trial.recall(Query("sorting", NOW, where={"task": "sorting words"}))
    trial.feedback(shown, 1.0)
    ups = {name for name in shown.items if name in before}
    assert 0 < len(ups) < len(before)
    assert {name for name in before if known(trial, name).meta["score"] != before[name]} == ups
    trial.feedback(shown, -1.0)
    trial.feedback(shown, -1.0)
    two = {name for name in ups if before[name] == 2}
    assert two
    assert all(known(trial, name).status == EXPIRED for name in two)
    assert all(known(trial, name).status == ACTIVE for name in shown.items if name not in before)


def test_turns_of_a_near_session_come_before_like_turns_of_another() -> None:
    talk = {"s1": "garden roses and soil", "s2": "football league and goals"}
    events = [
        message(f"m{n}", f"{text} {n}", scope)
        for scope, text in talk.items()
        for n in range(3 * int(scope[1:]), 3 * int(scope[1:]) + 3)
    ]
    events += [message("m30", "we said yes to it in town", "s2"), message("m31", "we said yes to it in town too", "s1")]
    trial = fed(at_work("g_memory", floor=0.1, topic=2.0), events)
    trial.tick(NOW + 50, close=True)
    names = [record.id for record in ask_for(trial, "said yes town garden roses soil")]
    assert names.index("m31") < names.index("m30")
    assert kept(trial, "insight") == []


# -- Agent KB


def test_a_near_equal_unit_is_not_kept_twice() -> None:
    trial = fed(at_work("agent_kb"), [attempt("a0", "tile"), attempt("a1", "tile"), attempt("a2", "unroll")])
    units = kept(trial, "workflow")
    assert [(unit.meta["technique"], unit.sources) for unit in units] == [("tile", ("a0", "a1")), ("unroll", ("a2",))]


def test_a_unit_says_what_was_asked_planned_and_experienced() -> None:
    [unit] = kept(fed(at_work("agent_kb"), [attempt("a0", "tile")]), "workflow")
    assert unit.text == "Query: kernel/softmax memory bound\nPlan: tile\nExperience: It runs, gain 0.2."


def test_words_and_vectors_are_mixed_by_their_share() -> None:
    events = [message("m0", "the recipe"), message("m1", "recipes recipes for cooking, recipes for baking")]
    words, vectors = (fed(at_work("agent_kb", lexical=share), events) for share in (1.0, 0.0))
    assert [record.id for record in ask_for(words, "recipes recipes")] == [
        hit.id for hit in words.bank.lexical("recipes recipes")
    ]
    assert [record.id for record in ask_for(vectors, "recipes recipes")] == [
        hit.id for hit in vectors.bank.dense("recipes recipes")
    ]


def test_what_was_met_in_the_state_of_the_asker_comes_first() -> None:
    events = [attempt("a0", "tile"), attempt("a1", "fuse", state="latency bound")]
    gated, open_ = (fed(at_work("agent_kb", agree=agree), events) for agree in (4.0, 0.0))
    asked = "tile when memory bound"
    assert ask_for(open_, asked, state="latency bound")[0].meta["technique"] == "tile"
    first = ask_for(gated, asked, state="latency bound")
    assert [record.meta["technique"] for record in first[:2]] == ["fuse", "fuse"]


def test_a_plan_that_failed_gives_way_where_it_also_worked() -> None:
    failed = attempt("a0", "tile", gain=None)._replace(text="tile softmax softmax softmax")
    events = [failed, attempt("a1", "tile")]
    gated, open_ = (fed(at_work("agent_kb", agree=agree), events) for agree in (4.0, 0.0))
    assert ask_for(open_, "tile softmax")[0].id == "a0"
    assert ask_for(gated, "tile softmax")[0].meta["feasible"] is True


def test_student_and_teacher_have_the_last_word_on_the_order() -> None:
    events = [message(f"m{n}", f"fruit {'fruit ' * n}") for n in range(3)]
    plain = [record.id for record in ask_for(fed(at_work("agent_kb"), events), "fruit")]
    trial = fed(at_work("agent_kb", ask=answering(Write="pears", Which="3, 2, 77", A="2.")), events)
    assert [record.id for record in ask_for(trial, "fruit")] == [plain[1], plain[2], plain[0]]


# -- Memp


def test_a_procedure_is_a_script_and_its_steps() -> None:
    text = "To log in:\n1. Open the page.\n2. Type the name."
    event = Event("t0", "trajectory", text, NOW, data={"feasible": True, "task": "log in"})
    [record] = kept(fed(at_work("memp"), [event]), "workflow")
    assert record.text.splitlines() == ["For log in: Open the page.", "1. Open the page.", "2. Type the name."]


def test_failure_corrects_the_procedures_that_were_provided_and_no_other() -> None:
    trial = fed(
        at_work("memp"),
        [attempt("a0", "unroll"), attempt("a1", "tile"), attempt("a2", "fuse", task="sorting", state="x")],
    )
    unroll, tile, fuse = kept(trial, "workflow")
    felt(trial, [unroll], -1.0, "softmax memory bound tile")
    corrected = known(trial, unroll.id)
    assert corrected.text.startswith(unroll.text)
    assert "there tile worked" in corrected.text
    assert corrected.sources == ("a0", "a1")
    assert (known(trial, tile.id), known(trial, fuse.id)) == (tile, fuse)


def test_a_procedure_with_nothing_better_known_is_marked() -> None:
    trial = fed(at_work("memp"), [attempt("a0", "unroll")])
    felt(trial, kept(trial, "workflow"), -1.0, "softmax")
    assert kept(trial, "workflow")[0].text.endswith("Failed for 'softmax': not to be followed as it is.")


def test_corrections_do_not_pile_up() -> None:
    trial = fed(at_work("memp", corrections=2), [attempt("a0", "unroll")])
    for number in range(9):
        felt(trial, kept(trial, "workflow"), -1.0, f"softmax {number}")
    said = [line for line in kept(trial, "workflow")[0].text.splitlines() if line.startswith("Failed")]
    assert len(said) == 2
    assert "softmax 8" in said[0]


def test_a_model_rewrites_the_procedure_that_misled() -> None:
    trial = at_work("memp", ask=answering(A="Tile first.", Say="Unroll."))
    fed(trial, [attempt("a0", "unroll")])
    felt(trial, kept(trial, "workflow"), -1.0, "softmax")
    assert kept(trial, "workflow")[0].text.splitlines()[0] == "Tile first."


def test_a_procedure_that_helped_rises_above_its_equal() -> None:
    twins = [attempt("a0", "tile"), attempt("a1", "tile")]
    trial = fed(at_work("memp"), twins)
    first, second = [record for record in ask_for(trial, "softmax tile") if record.kind == "workflow"]
    felt(trial, [second], 1.0)
    assert known(trial, second.id).text == second.text
    assert [r.id for r in ask_for(trial, "softmax tile") if r.kind == "workflow"] == [second.id, first.id]


def test_a_message_provided_in_vain_keeps_its_words() -> None:
    trial = fed(at_work("memp"), [message("m0", "Ann: the cat is called Moss")])
    felt(trial, [known(trial, "m0")], -1.0)
    assert known(trial, "m0").text == "Ann: the cat is called Moss"


# -- EvolveR


def test_success_guides_and_failure_cautions() -> None:
    trial = fed(
        at_work("evolver"), [attempt("a0", "tile"), attempt("a1", "unroll", gain=None), message("m2", "Ann: hello")]
    )
    assert [(rule.text, rule.meta["triples"]) for rule in kept(trial, "rule")] == [
        ("Guiding: when memory bound, tile works +22%", [["memory bound", "tile", "works"]]),
        ("Cautionary: when memory bound, avoid unroll", [["memory bound", "unroll", "fails"]]),
    ]


def test_principles_that_say_the_same_are_one() -> None:
    events = [attempt("a0", "tile"), attempt("a1", "tile", task="kernel/sum"), attempt("a2", "tile", gain=None)]
    trial = fed(at_work("evolver"), events)
    assert [rule.sources for rule in kept(trial, "rule")] == [("a0", "a1"), ("a2",)]


def test_near_principles_stay_apart_where_the_model_says_no() -> None:
    for answer, count in (("No.", 2), ("Yes, they do.", 1)):
        ask = answering(Do=answer, Write="tiles help where memory is slow")
        trial = fed(at_work("evolver", ask=ask), [attempt("a0", "tile"), attempt("a1", "tile")])
        assert len(kept(trial, "rule")) == count


def test_a_principle_below_the_threshold_goes_after_enough_uses() -> None:
    trial = fed(at_work("evolver", uses=3), [attempt("a0", "tile"), attempt("a1", "unroll")])
    tile, unroll = kept(trial, "rule")
    felt(trial, [tile, unroll], 1.0)
    for _ in range(2):
        felt(trial, [unroll], -1.0)
        assert known(trial, unroll.id).status == ACTIVE
    felt(trial, [unroll], -1.0)
    assert known(trial, unroll.id).status == ACTIVE  # 2 / 6 is above .3
    felt(trial, [unroll], -1.0)
    assert known(trial, unroll.id).status == EXPIRED
    assert known(trial, tile.id).status == ACTIVE
    assert known(trial, "a1").status == ACTIVE


def test_a_principle_hardly_used_stays_whatever_came_of_it() -> None:
    trial = fed(at_work("evolver", uses=3), [attempt("a0", "tile")])
    principle = kept(trial, "rule")[0]
    for uses, status in ((1, ACTIVE), (2, ACTIVE), (3, EXPIRED)):
        felt(trial, [principle], -1.0)
        assert (known(trial, principle.id).meta["uses"], known(trial, principle.id).status) == (uses, status)


def test_guidance_and_caution_are_never_one() -> None:
    ask = answering(Do="yes", Write="tiles help where memory is slow")
    trial = fed(at_work("evolver", ask=ask), [attempt("a0", "tile"), attempt("a1", "tile", gain=None)])
    assert [rule.meta["sense"] for rule in kept(trial, "rule")] == ["guiding", "cautionary"]


def test_an_answer_has_principles_then_one_example_of_each_outcome() -> None:
    events = [
        attempt("a0", "tile"),
        attempt("a1", "tile", gain=None),
        attempt("a2", "tile"),
        attempt("a3", "tile", gain=None),
    ]
    trial = fed(at_work("evolver"), events)
    for asked in ("tile softmax, memory bound. It runs, gain 0.2.", "tile softmax, memory bound. It is wrong."):
        shown = ask_for(trial, asked)
        assert {record.meta["sense"] for record in shown[:2]} == {"guiding", "cautionary"}
        assert [record.meta["worked"] for record in shown[2:4]] == [True, False]


def test_a_principle_that_succeeded_comes_before_one_that_did_not() -> None:
    for first in (0, 1):
        trial = fed(at_work("evolver"), [attempt("a0", "tile"), attempt("a1", "tile", gain=None)])
        principles = kept(trial, "rule")
        felt(trial, [principles[first]], 1.0)
        felt(trial, [principles[1 - first]], -1.0)
        assert ask_for(trial, "memory bound tile")[0].id == principles[first].id
