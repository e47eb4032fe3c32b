"""The seeds that learn from how things went: each one's own mechanism at work."""

from collections.abc import Sequence
from typing import NamedTuple

import pytest

from knowledge.architecture import ACTIVE, EXPIRED, JSON, SUPERSEDED, Event, Query, Receipt, Record
from knowledge.design import Design, built, seeds
from knowledge.replica import Replica
from knowledge.trial import Ask, Trial, no_model

NAMES = ("agent_workflow", "dilu", "expel", "generative_agents", "mobile_agent_e", "voyager")
START = 1_700_000_000.0
LATER = START + 1e6


def trial(name: str, ask: Ask = no_model, **params: float) -> Trial:
    return Trial(built(Design(name, seeds()[name].source, params)), ask=ask)


def saying(answer: str) -> Ask:
    return lambda _prompt, _most: answer


class Told(NamedTuple):
    """An attempt in few words."""

    name: str
    technique: str
    passed: bool
    task: str = "k/matmul"
    state: str = "memory-bound"
    parent: str = ""
    gain: float | None = None
    time: float = START

    @property
    def event(self) -> Event:
        data: dict[str, JSON] = {
            "task": self.task, "domain": "kernels", "stage": "refine", "technique": self.technique,
            "state": self.state, "feasible": self.passed, "code": f"void {self.name}(void);",
        }  # fmt: skip
        if self.gain is not None:
            data["gain"] = self.gain
        end = "gained 2x." if self.passed else "failed: mismatch at element 3."
        text = f"On {self.task}, {self.technique} {end}"
        return Event(self.name, "attempt", text, self.time, scope=self.task, parent=self.parent, data=data)


def learnt(architecture: Trial, *told: Told) -> Replica:
    for one in told:
        architecture.ingest(one.event)
    return architecture.bank


def message(name: str, text: str, time: float = START, scope: str = "s1") -> Event:
    return Event(name, "message", text, time, actor=text.split(":", 1)[0], scope=scope)


def of(bank: Replica, kind: str, status: str = ACTIVE) -> list[Record]:
    return list(bank.iter(status=status, kind=kind))


def found(architecture: Trial, text: str, k: int = 10, **where: JSON) -> list[Record]:
    hits = architecture.retrieve(Query(text, LATER, k=k, where=where)).hits
    return [record for hit in hits if (record := architecture.bank.get(hit.id))]


def blame(architecture: Trial, record: str, reward: float, times: int = 1) -> None:
    for _ in range(times):
        architecture.feedback(Receipt(Query("anything", LATER), (record,)), reward)


TALK = [
    "Ann: I adopted a greyhound called Pippin last spring.",
    "Bob: Nice! I have been learning the cello since June.",
    "Ann: My sister moved to Lisbon in 2019.",
    "Bob: We should bake sourdough on Sunday.",
]


@pytest.mark.parametrize("name", NAMES)
def test_no_message_is_lost_and_each_is_found_by_its_words(name: str) -> None:
    # its own weights make Generative Agents answer with what is recent and important
    mended = {"recency": 0.0, "importance": 0.0, "words": 1.0} if name == "generative_agents" else {}
    architecture = trial(name, no_model, **mended)
    for number, text in enumerate(TALK):
        architecture.ingest(message(f"m{number}", text, START + number))
    architecture.tick(START + 9, close=True)
    assert [record.text for record in of(architecture.bank, "message")] == TALK
    assert found(architecture, "what instrument is Bob learning, the cello?")[0].id == "m1"
    assert found(architecture, "who moved to Lisbon?")[0].id == "m2"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "answer", ["", "¯\\_(ツ)_/¯", "ADD:\nEDIT 99: x\nREMOVE 0\nAGREE", "1.\n2.\n(because of 7777777, and)", "\n \n"]
)
def test_a_model_that_talks_nonsense_changes_nothing_that_matters(name: str, answer: str) -> None:
    plain, puzzled = trial(name), trial(name, saying(answer))
    for architecture in (plain, puzzled):
        story(architecture)
    kinds = [sorted(record.kind for record in architecture.bank.iter()) for architecture in (plain, puzzled)]
    assert kinds[0] == kinds[1]


@pytest.mark.parametrize("name", NAMES)
def test_a_replay_ends_with_the_same_records_and_answers(name: str) -> None:
    first, second = trial(name), trial(name)
    for architecture in (first, second):
        story(architecture)
    assert list(first.bank.iter()) == list(second.bank.iter())
    assert found(first, "memory-bound matmul") == found(second, "memory-bound matmul")


@pytest.mark.parametrize("name", NAMES)
def test_data_of_other_types_than_expected_is_survived(name: str) -> None:
    architecture = trial(name)
    odd: dict[str, JSON] = {"task": 3, "state": None, "technique": ["x"], "feasible": "yes", "gain": "much", "code": {}}
    for number, kind in enumerate(("attempt", "step", "trajectory", "feedback", "document", "message", "rumour")):
        architecture.ingest(Event(f"e{number}", kind, "", START, parent=f"e{number}", data=odd))
        architecture.ingest(Event(f"f{number}", kind, "ü" * 50_000, START, parent="none", data={"feasible": True}))
        architecture.ingest(Event(f"g{number}", kind, "?!", START, data={"feasible": False, "gain": -1}))
    architecture.tick(START, close=True)
    architecture.retrieve(Query("", START))
    architecture.retrieve(Query("ü", START, where={"state": 3, "domain": ["x"]}))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("writer", NAMES)
def test_each_answers_from_what_any_other_wrote(name: str, writer: str) -> None:
    architecture = trial(writer)
    story(architecture)
    reader = Trial(built(seeds()[name]), architecture.bank)
    for one in found(reader, "tile on the memory-bound matmul", k=5), found(reader, "sourdough", k=100):
        assert one
    everything = found(reader, "tile matmul memory-bound Pippin cello Lisbon sourdough", k=100)
    assert "message" in {record.kind for record in everything}
    assert {"attempt", "decision"} & {record.kind for record in everything}
    reader.tick(LATER)
    blame(reader, everything[0].id, -1.0)
    blame(reader, everything[0].id, 1.0)


def story(architecture: Trial) -> None:
    """A bit of everything."""
    learnt(
        architecture,
        Told("a", "vectorise", passed=False),
        Told("b", "tile", passed=True, parent="a"),
        Told("c", "unroll", passed=True, parent="b"),
        Told("d", "tile", passed=True, task="k/conv"),
        Told("e", "unroll", passed=True, task="k/conv", parent="d"),
    )
    for number, text in enumerate(TALK):
        architecture.ingest(message(f"m{number}", text, START + number))
    architecture.tick(START + 99, close=True)


# -- Voyager


def test_voyager_makes_skills_of_successes_alone() -> None:
    bank = learnt(
        trial("voyager"),
        Told("a", "tile", passed=True),
        Told("b", "unroll", passed=False),
        Told("c", "hoist", passed=True, gain=-0.5),
    )
    [skill] = of(bank, "skill")
    assert (skill.text, skill.payload, skill.sources) == (
        "tile on k/matmul where memory-bound",
        "void a(void);",
        ("a",),
    )
    assert len(of(bank, "attempt")) == 3


def test_voyager_gives_the_skills_most_alike_first_and_no_more_than_it_may() -> None:
    architecture = trial("voyager", skills=2)
    learnt(architecture, *(Told(name, name, passed=True) for name in ("tile", "unroll", "hoist", "vectorise")))
    records = found(architecture, "hoist it on k/matmul where memory-bound", k=10)
    assert [record.kind for record in records[:3]] == ["skill", "skill", "attempt"]
    assert records[0].payload == "void hoist(void);"
    assert "hoist" not in [record.id for record in records if record.kind == "attempt"], "it is told by its skill"


def test_voyager_writes_a_skill_of_the_same_name_over_until_it_has_misled_too_often() -> None:
    architecture = trial("voyager", misled=2)
    [skill] = of(learnt(architecture, Told("a", "tile", passed=True)), "skill")
    blame(architecture, skill.id, -1.0)
    blame(architecture, skill.id, 1.0)
    blame(architecture, skill.id, -1.0)
    learnt(architecture, Told("b", "tile", passed=True))
    assert [one.payload for one in of(architecture.bank, "skill")] == ["void b(void);"], "never twice in a row"
    blame(architecture, skill.id, -1.0)
    learnt(architecture, Told("c", "tile", passed=True))
    assert [one.payload for one in of(architecture.bank, "skill")] == ["void b(void);"]


def test_voyager_lets_a_model_describe_what_a_skill_does() -> None:
    bank = learnt(trial("voyager", saying("\nBlocks the loops for the cache.\nMore.")), Told("a", "tile", passed=True))
    assert [skill.text for skill in of(bank, "skill")] == ["Blocks the loops for the cache."]


# -- ExpeL


WON = Told("w", "tile", passed=True)
LOST = Told("l", "vectorise", passed=False)


def votes(rules: Sequence[Record]) -> list[JSON]:
    return [rule.meta["votes"] for rule in rules]


def test_expel_learns_a_rule_from_a_success_and_a_failure_at_one_task() -> None:
    architecture = trial("expel")
    assert not of(learnt(architecture, LOST, WON._replace(task="k/conv")), "rule"), "they are different tasks"
    [rule] = of(learnt(architecture, WON._replace(name="v")), "rule")
    assert rule.text == "Where memory-bound: tile works; vectorise does not."
    assert (votes([rule]), rule.sources) == ([2], ("v", "l"))


def test_expel_upvotes_a_rule_that_is_seen_again_and_edits_one_that_says_less() -> None:
    architecture = trial("expel")
    learnt(architecture, LOST, WON, LOST._replace(name="l2", task="k/conv"), WON._replace(name="w2", task="k/conv"))
    assert votes(of(architecture.bank, "rule")) == [3]
    learnt(architecture, Told("l3", "hoist", passed=False))
    [rule] = of(architecture.bank, "rule")
    assert (rule.text, votes([rule])) == ("Where memory-bound: tile works; vectorise, hoist does not.", [4])


def test_expel_deletes_a_rule_that_later_pairs_speak_against() -> None:
    architecture = trial("expel")
    [rule] = of(learnt(architecture, LOST, WON), "rule")
    for number in range(2):
        task = f"k/{number}"
        against = (
            Told(f"a{number}", "tile", passed=False, task=task),
            Told(f"b{number}", "pack", passed=True, task=task),
        )
        learnt(architecture, *against)
    assert [one.id for one in of(architecture.bank, "rule", EXPIRED)] == [rule.id]
    assert [one.text for one in of(architecture.bank, "rule")] == ["Where memory-bound: pack works; tile does not."]
    again = LOST._replace(name="l9", task="k/9"), WON._replace(name="w9", task="k/9")
    learnt(architecture, *again)
    assert votes([one for one in of(architecture.bank, "rule") if one.id == rule.id]) == [2], "it begins anew"


def test_expel_counts_feedback_on_a_rule_that_was_shown_as_a_vote() -> None:
    architecture = trial("expel")
    [rule] = of(learnt(architecture, LOST, WON), "rule")
    blame(architecture, rule.id, 1.0)
    assert votes(of(architecture.bank, "rule")) == [3]
    blame(architecture, rule.id, -1.0, times=2)
    assert votes(of(architecture.bank, "rule")) == [1]
    blame(architecture, rule.id, -1.0)
    assert not of(architecture.bank, "rule")


def test_expel_compares_states_for_one_technique_and_words_where_none_is_known() -> None:
    architecture = trial("expel")
    learnt(architecture, WON, WON._replace(name="l", passed=False, state="compute-bound"))
    for name, text, passed in (("x", "I asked for the key first", True), ("y", "I kicked the door", False)):
        architecture.ingest(Event(name, "trajectory", text, START, scope="escape", data={"feasible": passed}))
    assert [rule.text for rule in of(architecture.bank, "rule")] == [
        "With tile: memory-bound works; compute-bound does not.",
        "At escape: asked key first works; kicked door does not.",
    ]


def test_expel_shows_rules_first_then_what_is_similar_and_failures_last() -> None:
    architecture = trial("expel")
    learnt(architecture, LOST, WON, Told("other", "hoist", passed=True, task="k/sum", state="branchy"))
    kinds = [record.id for record in found(architecture, "vectorise the memory-bound k/matmul")]
    assert kinds[1:] == ["w", "other", "l"]
    assert architecture.bank.get(kinds[0]) in of(architecture.bank, "rule")


def test_expel_does_what_a_model_orders_as_far_as_it_makes_sense() -> None:
    orders = iter(
        [
            "ADD: 3 tiles are enough.\nADD: Pack first.\nbla",
            "AGREE 1\nREMOVE 2\nREMOVE 7",
            "- remove 2",
            "EDIT 1: Try 4.",
        ]
    )
    architecture = trial("expel", lambda _prompt, _most: next(orders))
    learnt(architecture, LOST, WON)
    assert {rule.text for rule in of(architecture.bank, "rule")} == {"3 tiles are enough.", "Pack first."}
    first, second = list_of_rules(architecture)
    learnt(architecture, WON._replace(name="w2"))
    assert votes([known(architecture, first), known(architecture, second)]) == [3, 1]
    learnt(architecture, WON._replace(name="w3"))
    assert known(architecture, second).status == EXPIRED
    learnt(architecture, WON._replace(name="w4"))
    assert (known(architecture, first).text, votes([known(architecture, first)])) == ("Try 4.", [4])


def list_of_rules(architecture: Trial) -> list[str]:
    """As a model sees them."""
    held = architecture.bank.state("rules")
    return [str(name) for name in held] if isinstance(held, list) else []


def known(architecture: Trial, name: str) -> Record:
    record = architecture.bank.get(name)
    assert record is not None
    return record


# -- Generative Agents


def aged(architecture: Trial) -> Trial:
    for name, text, hours in (("old", "Ann: tea", 500), ("fresh", "Ann: tea!", 1)):
        architecture.ingest(message(name, text, LATER - hours * 3600))
    return architecture


def test_generative_agents_prefer_what_is_recent_and_what_was_used() -> None:
    architecture = aged(trial("generative_agents"))
    assert found(architecture, "tea")[0].id == "fresh"
    blame(architecture, "old", 1.0)
    assert found(architecture, "tea")[0].id == "old"


def test_generative_agents_prefer_what_is_important() -> None:
    architecture = trial("generative_agents")
    architecture.ingest(message("trifle", "Ann: tea, hm", START))
    architecture.ingest(
        message("news", "Ann: tea with Carla in Lisbon in 2019 ended our long quarrel over money", START)
    )
    assert [record.meta["importance"] for record in of(architecture.bank, "message")] == [1, 5]
    weighed = Design("important", seeds()["generative_agents"].source, {"recency": 0.0, "relevance": 0.0})
    assert found(Trial(built(weighed), architecture.bank), "tea")[0].id == "news"


@pytest.mark.parametrize(("answer", "importance"), [("7", 7), ("It is 99!", 10), ("0", 1), ("none", 1)])
def test_generative_agents_take_a_models_importance_between_1_and_10(answer: str, importance: int) -> None:
    architecture = aged(trial("generative_agents", saying(answer)))
    assert [record.meta["importance"] for record in of(architecture.bank, "message")] == [importance] * 2


def test_generative_agents_weigh_each_side_from_0_to_1() -> None:
    architecture = aged(trial("generative_agents"))
    scores = {hit.id: hit.score for hit in architecture.retrieve(Query("zebra", LATER)).hits}
    assert scores == {"fresh": 1.0, "old": 0.0}, "only recency differs"


def test_generative_agents_reflect_when_enough_of_importance_came_in() -> None:
    architecture = trial("generative_agents", saying("10"))
    for number in range(15):
        architecture.ingest(message(f"m{number}", f"Ann: the greyhound {number}", START + number))
    architecture.tick(START + 20)
    assert not of(architecture.bank, "insight"), "150 is not more than 150"
    architecture.ingest(message("m15", "Ann: the greyhound!", START + 21))
    architecture.tick(START + 22)
    insights = of(architecture.bank, "insight")
    assert any("greyhound" in insight.text for insight in insights)
    for insight in insights:
        assert [link.target for link in insight.links] == list(insight.sources)
        assert {link.rel for link in insight.links} == {"because"}
    for number in range(15):
        architecture.ingest(message(f"n{number}", "Ann: the cello", START + 30 + number))
    architecture.tick(START + 50)
    assert of(architecture.bank, "insight") == insights, "it begins to count anew"


def test_generative_agents_keep_what_a_model_infers_with_what_it_cites() -> None:
    answer = "1. Ann loves dogs (because of 2, 1 and 99)\n2. Nothing (because of 77)\n10"
    architecture = trial("generative_agents", saying(answer), reflect=20)
    for number in range(30):
        architecture.ingest(message(f"m{number}", f"Ann: dog {number}", START + number))
    architecture.tick(START + 40)
    assert [(insight.text, insight.sources) for insight in of(architecture.bank, "insight")] == [
        ("Ann loves dogs", ("m1", "m0"))
    ]


# -- DiLu


def test_dilu_puts_the_corrected_experience_in_the_place_of_the_failed_one() -> None:
    architecture = trial("dilu")
    [failed] = of(learnt(architecture, LOST), "decision")
    learnt(architecture, WON._replace(state="compute-bound"))
    [right] = of(architecture.bank, "decision")
    [gone] = of(architecture.bank, "decision", SUPERSEDED)
    assert gone.id == failed.id
    assert (right.sources, right.payload) == (("w", "l"), "void w(void);")
    assert "Corrected: not vectorise: On k/matmul, vectorise failed: mismatch at element 3." in right.text
    assert [hit.id for hit in architecture.bank.near(failed.id, "supersedes", direction="in")] == [right.id]
    assert set(failed.keys) < set(right.keys), "it is found by the scenario of the failure too"
    assert len(of(architecture.bank, "attempt")) == 2, "what happened stays"


def test_dilu_corrects_what_a_success_continues_and_nothing_of_another_task() -> None:
    architecture = trial("dilu")
    learnt(architecture, LOST, Told("x", "tile", passed=True, task="k/conv"))
    assert not of(architecture.bank, "decision", SUPERSEDED)
    learnt(architecture, Told("y", "tile", passed=True, task="k/conv", parent="l"))
    assert [record.sources for record in of(architecture.bank, "decision", SUPERSEDED)] == [("l",)]


def test_dilu_gives_decisions_of_the_most_similar_scenarios_and_failures_last() -> None:
    architecture = trial("dilu", shots=2)
    learnt(
        architecture,
        Told("near", "hoist", passed=True, task="k/softmax", state="branchy"),
        Told("far", "tile", passed=True),
        Told("bad", "hoist", passed=False, task="k/layernorm", state="branchy"),
    )
    records = found(architecture, "how to go on", task="k/softmax", domain="kernels", stage="refine", state="branchy")
    assert (records[0].kind, records[0].sources) == ("decision", ("near",))
    assert records[0].text.startswith(
        "Scenario: task k/softmax, domain kernels, stage refine, state branchy\nReasoning: "
    )
    assert records[0].text.endswith("\nAction: hoist")
    assert records[-1].sources == ("bad",)
    passed = [bool(record.meta["feasible"]) for record in records]
    assert passed == sorted(passed, reverse=True)
    assert [record.kind for record in records].count("decision") == 2 + 1, "two shots, and the failure"


def test_dilu_lets_a_model_word_the_correction() -> None:
    [right] = of(learnt(trial("dilu", saying("Check the\ntail.")), LOST, WON), "decision")
    assert right.text.endswith("\nCorrected: Check the tail.")


# -- Agent Workflow Memory


def shopping(name: str, *steps: str, passed: bool = True, domain: str = "shop") -> Event:
    return Event(name, "trajectory", "\n".join(steps), START, scope=name, data={"domain": domain, "feasible": passed})


FIRST = shopping(
    "first", 'Type "red shoes" into the search box', "1. Click result 3", "Close the banner", "Pay 20 dollars"
)
SECOND = shopping("second", 'Type "a lamp" into the search box', "2. Click result 14", "Pay 7.50 dollars")


def test_agent_workflow_induces_what_successes_share_with_variables_for_what_varies() -> None:
    architecture = trial("agent_workflow")
    for event in (FIRST, shopping("odd", "Sing", "Dance"), SECOND):
        architecture.ingest(event)
    [workflow] = of(architecture.bank, "workflow")
    assert workflow.text == (
        "Workflow for shop: 1. Type {text} into the search box; 2. Click result {number}; 3. Pay {number} dollars"
    )
    assert workflow.sources == ("first", "second")


def test_agent_workflow_learns_neither_from_failures_nor_across_domains() -> None:
    architecture = trial("agent_workflow")
    for event in (
        FIRST,
        SECOND._replace(data={"domain": "shop", "feasible": False}),
        SECOND._replace(id="third", data={"domain": "maps", "feasible": True}),
    ):
        architecture.ingest(event)
    assert not of(architecture.bank, "workflow")
    assert len(of(architecture.bank, "trajectory")) == 3
    architecture.ingest(SECOND._replace(id="fourth"))
    assert [record.sources for record in of(architecture.bank, "workflow")] == [("first", "fourth")]


def test_agent_workflow_takes_a_few_steps_in_common_for_chance() -> None:
    architecture = trial("agent_workflow", share=0.5)
    for name in "xy":
        own = [f"{name} {step}" for step in ("sings", "swims", "runs")]
        architecture.ingest(shopping(name, "Log in", *own, "Log out"))
    assert not of(architecture.bank, "workflow")
    architecture.ingest(shopping("z", "Log in", "Browse", "Log out"))
    assert [record.meta["steps"] for record in of(architecture.bank, "workflow")] == [["Log in", "Log out"]]


def test_agent_workflow_keeps_no_workflow_twice_nor_a_part_of_one() -> None:
    architecture = trial("agent_workflow")
    part = shopping("part", 'Type "tea" into the search box', "Click result 1")
    for event in (FIRST, SECOND, SECOND._replace(id="third"), part):
        architecture.ingest(event)
    [workflow] = of(architecture.bank, "workflow")
    assert set(workflow.sources) == {"first", "second", "third", "part"}


def test_agent_workflow_follows_a_success_back_to_where_it_began() -> None:
    architecture = trial("agent_workflow")
    for task in ("k/a", "k/b"):
        learnt(
            architecture,
            Told(f"{task}1", "interchange", passed=True, task=task),
            Told(f"{task}2", "tile + unroll", passed=True, task=task, parent=f"{task}1"),
        )
    [workflow] = of(architecture.bank, "workflow")
    assert workflow.meta["steps"] == ["interchange", "tile", "unroll"]


def test_agent_workflow_gives_workflows_of_the_domain_first_then_examples() -> None:
    architecture = trial("agent_workflow")
    elsewhere = [one._replace(id=f"{one.id}2", data={"domain": "maps", "feasible": True}) for one in (FIRST, SECOND)]
    for event in (*elsewhere, FIRST, SECOND):
        architecture.ingest(event)
    records = found(architecture, "search for shoes", domain="shop")
    assert [(record.kind, record.meta["domain"]) for record in records[:2]] == [
        ("workflow", "shop"),
        ("trajectory", "maps"),
    ]
    assert [record.kind for record in records].count("workflow") == 1
    assert found(architecture, "no such word", domain="maps")[0].meta["domain"] == "maps"


def test_agent_workflow_lets_a_model_word_the_routine() -> None:
    architecture = trial("agent_workflow", saying("Here:\n1. Search {item}\n2. Buy {item}\n"))
    for event in (FIRST, SECOND):
        architecture.ingest(event)
    assert [record.meta["steps"] for record in of(architecture.bank, "workflow")] == [["Search {item}", "Buy {item}"]]


# -- Mobile-Agent-E


def test_mobile_agent_e_makes_tips_of_failures_after_the_task() -> None:
    architecture = trial("mobile_agent_e")
    assert not of(learnt(architecture, LOST), "rule")
    architecture.tick(START)
    [tip] = of(architecture.bank, "rule")
    assert tip.text == (
        "Tip: where memory-bound, beware of vectorise: On k/matmul, vectorise failed: mismatch at element 3."
    )
    architecture.tick(START)
    assert of(architecture.bank, "rule") == [tip]
    learnt(architecture, LOST._replace(name="l2"))
    architecture.tick(START)
    [tip] = of(architecture.bank, "rule")
    assert (tip.meta["failed"], tip.sources) == (2, ("l", "l2"))


def test_mobile_agent_e_amends_a_tip_when_the_technique_works_after_all() -> None:
    architecture = trial("mobile_agent_e")
    learnt(architecture, LOST)
    architecture.tick(START)
    for task in ("k/conv", "k/sum"):
        learnt(architecture, Told(task, "vectorise", passed=True, task=task))
        architecture.tick(START)
    [tip] = of(architecture.bank, "rule")
    assert tip.text.endswith("mismatch at element 3. It has worked 2 times, last on k/sum.")


def test_mobile_agent_e_makes_shortcuts_with_arguments_of_what_led_to_a_success() -> None:
    architecture = trial("mobile_agent_e")
    for name, sizes in (("p", (8, 64)), ("q", (16, 32))):
        learnt(
            architecture,
            Told(f"{name}1", f"tile {sizes[0]}", passed=True, task=name),
            Told(f"{name}2", f"unroll {sizes[1]}", passed=True, task=name, state="branchy", parent=f"{name}1"),
            Told(f"{name}3", "hoist", passed=True, task=name, parent=f"{name}2"),
        )
    architecture.tick(START)
    [shortcut] = of(architecture.bank, "workflow")
    assert shortcut.text == (
        "Shortcut tile_then_unroll_then_hoist(x1, x2). Precondition: memory-bound. "
        "Steps: tile {x1}; unroll {x2}; hoist."
    )
    assert shortcut.sources == ("p3", "q3")


def test_mobile_agent_e_offers_a_shortcut_only_where_its_precondition_may_hold() -> None:
    architecture = trial("mobile_agent_e")
    learnt(architecture, Told("a", "tile", passed=True), Told("b", "unroll", passed=True, parent="a"), LOST)
    architecture.tick(START)
    for state, kinds in (
        (None, ["rule", "workflow"]),
        ("memory-bound", ["rule", "workflow"]),
        ("branchy", ["rule", "attempt"]),
    ):
        records = found(architecture, "tile and vectorise k/matmul", state=state)
        assert [record.kind for record in records[:2]] == kinds
        assert {"a", "b", "l"} <= {record.id for record in records}


def test_mobile_agent_e_lets_a_model_word_a_tip() -> None:
    architecture = trial("mobile_agent_e", saying("\nMind the tail.\nand more"))
    learnt(architecture, LOST)
    architecture.tick(START)
    assert [tip.text for tip in of(architecture.bank, "rule")] == ["Mind the tail."]
