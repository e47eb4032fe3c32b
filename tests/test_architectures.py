"""The shipped contract for memory architectures: every seed keeps it, and what breaks one of its rules fails it."""

from collections.abc import Iterator

import pytest

from evolve.testing import ArchitectureContract, reaches
from knowledge.architecture import JSON, DesignError, Event, Query
from knowledge.design import Design, built, seeds
from knowledge.trial import Trial

SHIPPED = frozenset(
    """none recent bm25 dense hybrid window voyager expel generative_agents dilu agent_workflow mobile_agent_e
    dynamic_cheatsheet skillweaver g_memory agent_kb memp evolver hindsight task_memory aeon memtool hcam hippomm
    slot_ledger evokernel kernelblaster""".split()  # noqa: SIM905
)


def test_every_architecture_that_the_design_names_is_there() -> None:
    assert not SHIPPED - seeds().keys()


@pytest.mark.parametrize("name", sorted(seeds()))
class TestSeed(ArchitectureContract):
    many = 500

    @pytest.fixture(autouse=True)
    def _of_the_name(self, name: str) -> None:
        type(self).design = seeds()[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(seeds()))
def test_five_thousand_events_take_bounded_time(name: str) -> None:
    of(seeds()[name]).test_many_events_take_bounded_time_and_operations()


def of(design: Design, events: int = 5000) -> ArchitectureContract:
    class Contract(ArchitectureContract):
        many = events

    Contract.design = design
    return Contract()


TEMPLATE = """
import hashlib
from knowledge.architecture import (
    Add, AddLink, Expire, Hit, Link, Note, Param, Record, Retrieval, SetState, Update, Verbatim, filled, verbatim
)
PARAMS = {PARAMS}
shared = []

class Broken(Verbatim):
    def __init__(self, params):
        self.p = params
        self.seen = []

    def encode(self, event, ctx):
        {encode}
        return [verbatim(event)]

    def store(self, new, bank, ctx):
        {store}
        yield from map(Add, new)

    def retrieve(self, query, bank, ctx):
        {retrieve}
        return Retrieval(bank.lexical(query.text, query.k))

    def manage(self, trigger, bank, ctx):
        {manage}
        return []

def build(params):
    {build}
"""
SOUND = {
    "PARAMS": "{'depth': Param(2.0, 1.0, 9.0)}",
    "encode": "",
    "store": "",
    "retrieve": "",
    "manage": "",
    "build": "return Broken(filled(PARAMS, params))",
}


def broken(**lines: str) -> Design:
    return Design("broken", TEMPLATE.format(**(SOUND | lines)))


def test_what_the_broken_ones_are_made_from_keeps_every_rule() -> None:
    contract = of(broken(), 300)
    for rule in rules():
        getattr(contract, rule)()


def rules() -> Iterator[str]:
    return (name for name in vars(ArchitectureContract) if name.startswith("test_"))


SOME = "return Retrieval([Hit(r.id, 1.0) for r in {}][:5])"
BROKEN = [
    ("its_parameters_work_at_both_ends_and_others_are_refused", {"build": "return Broken(params)"}),
    ("its_parameters_work_at_both_ends_and_others_are_refused", {"retrieve": "1 / (self.p['depth'] - 9.0)"}),
    ("it_does_the_same_under_the_same_seed", {"store": "shared.append(1); yield Note(str(len(shared) + id(self)))"}),
    ("it_does_the_same_in_another_process", {"store": "yield SetState('k', hash(new[0].id))"}),
    ("it_does_the_same_in_another_process", {"retrieve": SOME.format("map(bank.get, {r.id for r in bank.iter()})")}),
    (
        "its_operations_alone_bring_another_bank_to_the_same_answers",
        {"encode": "self.seen.append(event)", "retrieve": SOME.format("self.seen")},
    ),
    ("its_object_can_be_lost_at_any_time", {"store": "self.seen += new; yield SetState('n', len(self.seen))"}),
    ("its_object_can_be_lost_at_any_time", {"store": "shared.append(1); yield SetState('n', len(shared))"}),
    ("an_empty_bank_is_asked_and_tidied", {"retrieve": "next(bank.iter())"}),
    ("an_empty_bank_is_asked_and_tidied", {"manage": "next(bank.iter())"}),
    ("odd_texts_are_taken_and_asked_for", {"retrieve": "query.text.split()[0]"}),
    ("odd_texts_are_taken_and_asked_for", {"encode": "event.text.encode('latin-1')"}),
    ("every_kind_of_event_and_trigger_is_taken_by_itself", {"encode": "1 / (event.kind != 'document')"}),
    ("every_kind_of_event_and_trigger_is_taken_by_itself", {"encode": "event.kind == 'attempt' and event.data['x']"}),
    ("every_kind_of_event_and_trigger_is_taken_by_itself", {"manage": "1 / (trigger.kind != 'feedback')"}),
    ("every_kind_of_event_and_trigger_is_taken_by_itself", {"manage": "1 / (trigger.kind != 'close')"}),
    ("many_events_take_bounded_time_and_operations", {"store": "yield from [Note('on')] * 65"}),
    ("many_events_take_bounded_time_and_operations", {"store": "yield SetState(new[0].id, 'x' * 300)"}),
    (
        "many_events_take_bounded_time_and_operations",
        {"store": "yield from (Add(Record(f'{new[0].id}{n}', 'x', ())) for n in range(5))"},
    ),
    (
        "asking_changes_nothing",
        {"retrieve": "self.seen.append(1); " + SOME.format("list(bank.iter())[len(self.seen):]")},
    ),
    (
        "two_of_them_do_not_influence_each_other",
        {"store": "shared.append(new[0].id); yield SetState('n', len(shared))",
         "retrieve": "return Retrieval([], str(bank.state('n')))"},
    ),
    ("a_model_that_talks_nonsense_does_no_harm", {"encode": "int(ctx.llm(event.text))"}),
    ("it_reaches_for_nothing_but_its_arguments", {"encode": "open('/etc/passwd')"}),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "lines"), BROKEN)
def test_what_breaks_a_rule_fails_it(rule: str, lines: dict[str, str]) -> None:
    contract = of(broken(**lines), 300)
    with pytest.raises((AssertionError, DesignError)) as fault:
        getattr(contract, f"test_{rule}")()
    assert "SyntaxError" not in str(fault.value)


def test_every_rule_has_something_that_breaks_it() -> None:
    assert {f"test_{rule}" for rule, _ in BROKEN} == set(rules())


@pytest.mark.parametrize(
    "text",
    [
        "import os", "import numpy.ctypeslib", "from pathlib import Path", "from . import bm25",
        "from json import codecs", "breakpoint()",
        "import knowledge.bank", "from knowledge import bank", "eval('1')", "exec('1')", "__import__('os')",
        "getattr(a, 'b')",
        "a.__class__", "a.__dict__['b']", "json.codecs.open('x')", "np.load('x')", "random._os", "globals()", "vars(a)",
        "bank.lexical.__self__", "bank._records", "datetime.now()", "operator.attrgetter('__class__')",
        "def f():\n    global g", "__builtins__", "print(1)",
    ],
)  # fmt: skip
def test_reaching_out_is_seen(text: str) -> None:
    assert list(reaches(text))


@pytest.mark.parametrize(
    "text",
    [
        "import re, json\nre.compile('a').match('b')", "from collections import Counter", "import collections.abc",
        "from knowledge.architecture import Add", "from knowledge import stems",
        "self._kept = record._replace(text='')",
        "super().__init__()", "ctx.now", "'open the door'", "datetime.fromtimestamp(ctx.now)",
    ],
)  # fmt: skip
def test_what_is_harmless_is_no_reaching_out(text: str) -> None:
    assert not list(reaches(text))


def odd_events() -> Iterator[Event]:
    """Data of other types than usual, names and code longer than anyone makes them."""
    usual: dict[str, JSON] = {
        "task": "t", "domain": "d", "technique": "tile", "state": "s", "feasible": True,
        "code": "def f(a):\n  return 1\n",
    }  # fmt: skip
    odd: list[JSON] = [None, True, -1, "", ["a", 1], {"a": [1]}, 10**30]
    data = [{**usual, "gain": 0.1, name: value} for name in (*usual, "gain", "score", "slot", "tool") for value in odd]
    long = "y" * 2500
    data += [{**usual, "task": f"{n}{long}", "technique": f"{n}{long}", "gain": n % 3 - 0.5} for n in range(40)]
    data += [{**usual, "code": f"def g(a):\n  return {'1' * 70_000}\n"}]
    for number, held in enumerate(data):
        kind = ("attempt", "trajectory", "message")[number % 3] if number < len(data) - 41 else "attempt"
        yield Event(f"e{number}", kind, f"Ana did {number}", 1.7e9 + number, "Ana", f"s{number // 9}", data=held)


@pytest.mark.parametrize("name", sorted(seeds()))
def test_data_of_any_type_and_size_is_taken_and_any_question(name: str) -> None:
    trial = Trial(built(seeds()[name]))
    for number, event in enumerate(odd_events()):
        trial.ingest(event)
        if number % 9 == 0:
            trial.tick(event.time)
    trial.tick(1.8e9, close=True)
    for text in ("tile Ana", "", "What was on 9999-12-31?", "December 9999", "0000-00-00", "a " * 9000):
        for k, budget in ((10, 1024), (0, 1024), (10, 0)):
            where: dict[str, JSON] = {"task": None, "state": 3, "domain": ["d"]}
            shown = trial.recall(Query(text, 1.8e9, "refine", k=k, budget_tokens=budget, where=where))
            trial.feedback(shown.receipt, -1.0)
