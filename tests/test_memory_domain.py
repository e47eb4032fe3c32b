"""The domain `memory`: honest architectures get a score, hostile ones nothing, in every sandbox.

Every file in cheats/memory says in its first lines what it tries. It goes past the static rules straight to the
sandbox: `rule` is a word of what they would have said, `refused` what the judge says (several are divided by ` | `),
`worth` what it scores beside the honest seed where nothing refuses it.
"""

import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from agents.templates import clipped
from evolve.domains.memory import Memories, gates, generated, rewrites
from evolve.domains.memory.confined import LIMITS, Answer, conversed, replayed, sit_confined
from evolve.domains.memory.domain import FILE, SCORED
from evolve.domains.memory.exam import Exam, Sitting, steps
from evolve.domains.memory.feedback import explained
from evolve.domains.memory.grading import grade, scores
from evolve.domains.memory.lint import MOST_LINES, violations
from evolve.domains.memory.remote import KEYS, Remote
from evolve.domains.memory.sitting import sit
from evolve.errors import NotFoundError, SandboxError
from evolve.testing import DomainContract
from evolve.types import Candidate, Job, Limits, Sandbox
from knowledge import architecture, wire
from knowledge.architecture import (
    Add,
    BankView,
    Ctx,
    DesignError,
    Event,
    Query,
    Record,
    Retrieval,
    Update,
    Verbatim,
    Worth,
    verbatim,
)
from knowledge.design import Design, built, seeds
from knowledge.protocol import protocol
from knowledge.replica import Replica
from knowledge.trial import Trial

FOLDER = Path(__file__).parent / "cheats" / "memory"
BRIEF = LIMITS.model_copy(update={"seconds": 2.0})
HONEST = seeds()["bm25"]
FEW = 20
"""Questions that are asked of a cheat."""
CHEATS = {path.stem: path.read_text() for path in sorted(FOLDER.glob("*.py"))}


def header(name: str) -> Mapping[str, str]:
    return dict(re.findall(r"^# ([a-z]+): (.*)$", CHEATS[name][:500], re.MULTILINE))


@pytest.fixture(scope="module")
def exam() -> Exam:
    whole = generated.conversations(5, 1)[0]
    return whole._replace(questions=whole.questions[:FEW])


def recall(exam: Exam, sitting: Sitting) -> float:
    found: float = scores([grade(exam, sitting)])["recall@10"]
    return found


def verdict(source: str, exam: Exam, sandbox: Sandbox) -> tuple[str, float]:
    """What the judge says past the static rules, and the score."""
    design = Design("cheat", source)
    try:
        gates.contract(design, sandbox, limits=BRIEF)
        sitting = gates.consistent(design, exam, sandbox, limits=BRIEF)
    except DesignError as fault:
        return str(fault), 0.0
    return "", recall(exam, sitting)


# ---- honest


class TestContract(DomainContract):
    domain = Memories(exams=1)

    @pytest.fixture
    def sandbox(self, process: Sandbox) -> Sandbox:
        return process


def test_the_seed_does_the_same_in_a_sandbox_as_in_this_process(exam: Exam, sandbox: Sandbox) -> None:
    confined = sit_confined(HONEST, [exam], sandbox)[0]
    own = sit(built(HONEST), exam)
    assert [reply.found for reply in confined.replies] == [reply.found for reply in own.replies]
    assert list(confined.bank.iter()) == list(own.bank.iter())
    assert len(confined.write_seconds) == len(exam.events)
    assert all(reply.seconds > 0 for reply in confined.replies)


def test_an_honest_memory_passes_every_gate(exam: Exam, sandbox: Sandbox) -> None:
    said, score = verdict(HONEST.source, exam, sandbox)
    assert not said
    assert score > 0.3


def test_parameters_reach_the_architecture(exam: Exam, process: Sandbox) -> None:
    usual, other = (sit_confined(HONEST._replace(params=params), [exam], process)[0] for params in ({}, {"b": 0.0}))
    assert usual.replies[0].found != other.replies[0].found


NUMPY = """
import numpy as np
from knowledge.architecture import Hit, Retrieval, Verbatim

PARAMS = {}


class Memory(Verbatim):
    def retrieve(self, query, bank, ctx):
        return Retrieval([Hit(hit.id, np.float32(hit.score)) for hit in bank.lexical(query.text, query.k)])


def build(params):
    return Memory()
"""


def test_numbers_of_numpy_are_numbers(exam: Exam, process: Sandbox) -> None:
    assert recall(exam, sit_confined(Design("numpy", NUMPY), [exam], process)[0]) > 0.3


def test_an_exam_without_events_or_questions_can_be_sat(process: Sandbox, exam: Exam) -> None:
    empty = Exam("empty", (), exam.questions[:2])
    silent = exam._replace(events=exam.events[:3], questions=())
    first, second = sit_confined(HONEST, [empty, silent], process)
    assert [len(reply.found.hits) for reply in first.replies] == [0, 0]
    assert len(second.bank) == 3
    assert second.replies == ()


def test_the_domain_scores_recall_and_explains_failures_of_other_questions(process: Sandbox) -> None:
    domain = Memories(exams=1)
    task = domain.tasks()[0]
    found = domain.evaluate(task, Candidate(files=task.files), process)
    assert found.score is not None
    assert found.interval is not None
    assert found.interval[0] < found.score < found.interval[1]
    assert found.score == pytest.approx(found.metrics["recall@10"])
    assert found.metrics["lines"] == HONEST.lines
    assert found.profile.bottleneck == "retrieve"
    asked = {question.query.text for exam in generated.conversations(SCORED, 1) for question in exam.questions}
    shown = re.findall(r"^question: (.*)$", found.feedback, re.MULTILINE)
    assert shown
    scored = {text for exam in generated.conversations(SCORED, 1) for event in exam.events for text in [event.text]}
    assert not (set(shown) <= asked and all(line in scored for line in shown))


def test_a_memory_that_prefers_what_is_new_scores_higher_on_rewrites(process: Sandbox) -> None:
    domain = Memories(exams=1)
    task = domain.tasks()[1]
    newest = HONEST.source.replace(
        'return Retrieval(bank.lexical(query.text, query.k, k1=self._p["k1"], b=self._p["b"]))',
        'hits = bank.lexical(query.text, 8, k1=self._p["k1"], b=self._p["b"])\n'
        "        return Retrieval(sorted(hits, key=lambda hit: (-round(hit.score), -bank.get(hit.id).valid_from)))",
    )
    assert newest != HONEST.source
    plain, better = (
        domain.evaluate(task, Candidate(files={FILE: source}), process) for source in (HONEST.source, newest)
    )
    assert plain.score is not None
    assert better.score is not None
    assert better.score > plain.score
    assert plain.profile.bottleneck == "manage"
    assert "holds now" in plain.feedback


class Summing(Verbatim):
    """What it shows is in no record's own text."""

    def encode(self, event: Event, ctx: Ctx) -> Iterable[Record]:
        del ctx
        return [verbatim(event)._replace(text=f"note {event.id}", keys=(event.text,), payload=event.text)]

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        del ctx
        hits = bank.lexical(query.text, query.k)
        return Retrieval(hits, "\n".join(record.payload for hit in hits if (record := bank.get(hit.id))))


def test_outdated_answers_of_a_synthesis_are_told_too() -> None:
    stream = rewrites.stream(3)
    profile, said = explained(stream, sit(Summing(), stream))
    assert "no longer true" in profile.evidence
    assert "found before it" in said


def test_operations_that_take_the_host_too_long_are_refused(exam: Exam, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evolve.domains.memory.confined.START", 0.1)
    first = exam.events[0]
    words = Record("r", " ".join(f"word{number}" for number in range(6000)), (first.id,))
    flips = [wire.op_out(Update("r", {"status": status})) for status in ("expired", "active")] * 2000
    told = {"ops": [wire.op_out(Add(words)), *flips]}
    started = time.thread_time()
    with pytest.raises(DesignError, match="store: its operations take too long to apply"):
        replayed([first], [Answer(told, 0.0)])
    assert time.thread_time() - started < 10


def test_winners_are_measured_on_questions_that_nobody_has_seen(process: Sandbox) -> None:
    domain = Memories(exams=1)
    task = domain.tasks()[0]
    usual, again, fresh = (
        domain.evaluate(task, Candidate(files=task.files), process, fresh=is_fresh) for is_fresh in (False, False, True)
    )
    assert usual.score == again.score
    assert fresh.score != usual.score


def test_an_unknown_task_is_named(process: Sandbox) -> None:
    domain = Memories(exams=1)
    task = domain.tasks()[0].model_copy(update={"id": "memory/recal"})
    with pytest.raises(NotFoundError, match="memory/recall"):
        domain.evaluate(task, Candidate(files={}), process)


# ---- what a writer is told


@pytest.mark.parametrize("name", ["recall", "rewrites"])
def test_the_prompt_names_the_whole_protocol_and_is_not_cut(name: str) -> None:
    task = next(task for task in Memories().tasks() if task.id.endswith(name))
    assert clipped(task.prompt, 6000) == task.prompt.strip("\n")
    for kind in ("Event", "Record", "Query", "Hit", "Retrieval", "Trigger", "Add", "Update", "Supersede", "SetState"):
        fields = ", ".join(getattr(architecture, kind)._fields)
        assert all(f"{field}: " in task.prompt for field in fields.split(", ")), kind
    for method in ("lexical", "dense", "near", "span", "iter", "get", "state", "embed", "rng", "filled", "named"):
        assert re.search(rf"^ *{method}\b", protocol(), re.MULTILINE), method


def test_a_failure_names_the_line(process: Sandbox) -> None:
    task = Memories().tasks()[0]
    found = Memories(exams=1).evaluate(task, Candidate(files={FILE: CHEATS["raises"]}), process)
    assert found.gates.correct is False
    assert "division by zero (architecture.py, line" in found.feedback
    assert "return 1 / 0" in found.feedback


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", "no code"),
        ("def build(:", "does not parse"),
        ("PARAMS = {}\x00", "does not parse"),
        ("-" * 60_000 + "1", "does not parse"),
        ("PARAMS = {}\nbuild = eval('1')", "eval"),
        ("import os\nPARAMS = {}\ndef build(params): ...", "line 1: it imports os"),
        ("from .x import y\nPARAMS = {}\ndef build(params): ...", "imports .x.y"),
        ("PARAMS = {}\ndef build(params): return ().__class__", "__class__"),
        ("PARAMS = {}\ndef build(params): return getattr(params, '__class__')", "getattr"),
        ("PARAMS = {}\ndef build(params): return __builtins__", "__builtins__"),
        ("PARAMS = {}", "exports no build"),
        ("def build(params): ...", "exports no PARAMS"),
        ("PARAMS = {}\ndef build(params): ...\n" + "x = 1\n" * MOST_LINES, "lines of code"),
        ("PARAMS = {}\ndef build(params): ...\nX = '" + "x" * 70_000 + "'", "larger than"),
        ("PARAMS = {}\ndef build(params): ...\nX = '\ud800'", "does not parse"),
    ],
)
def test_the_static_gate_says_what_is_wrong(source: str, said: str, process: Sandbox) -> None:
    task = Memories().tasks()[0]
    found = Memories(exams=1).evaluate(task, Candidate(files={FILE: source}), process)
    assert found.gates.authentic is False
    assert said in found.feedback


def test_no_seed_breaks_the_static_rules() -> None:
    exams = [*generated.conversations(SCORED, 1), rewrites.stream(SCORED)]
    assert {name: said for name, design in seeds().items() if (said := violations(design, exams))} == {}


def test_questions_known_by_heart_are_found_however_they_are_cut(exam: Exam) -> None:
    question = exam.questions[0].query.text
    whole = f'{HONEST.source}\nKNOWN = {{"x": "{question}"}}\n'
    pieces = f"{HONEST.source}\nKNOWN = {question.split()!r}\n"
    answer = next(event.text for event in exam.events if event.id in exam.questions[0].gold)
    for source in (whole, pieces, f"{HONEST.source}\nKNOWN = {answer!r}\n"):
        assert "by heart" in violations(Design("x", source), [exam])[0]


# ---- search without a model


def test_every_mutation_is_a_module_that_the_static_gate_lets_pass() -> None:
    domain = Memories(exams=1)
    task = domain.tasks()[0]
    offered = list(domain.mutations(task, task.files, Random(1)))
    techniques = {mutation.technique.partition("_")[0] for mutation in offered}
    assert {"tune", "become"} <= techniques
    for mutation in offered:
        assert mutation.files != task.files
        assert violations(Design("x", mutation.files[FILE])) == []


def test_a_tuned_parameter_stays_within_its_bounds() -> None:
    domain = Memories(exams=1)
    task = domain.tasks()[0]
    tuned = [one for seed in range(20) for one in domain.mutations(task, task.files, Random(seed)) if "tune" in one[0]]
    assert tuned
    for mutation in tuned:
        built(Design("x", mutation.files[FILE]))  # raises where a default does not fit
        low, high = {"tune_k1": (0.2, 3.0), "tune_b": (0.0, 1.0)}[mutation.technique]
        assert low <= float(mutation.detail.split("-> ")[1]) <= high


def test_lore_says_where_each_architecture_comes_from() -> None:
    lore = Memories().lore()
    assert len(lore) == len(seeds())
    assert any("bm25" in text and "Robertson" in text for text in lore)


# ---- hostile


@pytest.fixture(scope="module")
def honest(exam: Exam) -> float:
    return recall(exam, sit(built(HONEST), exam))


@pytest.mark.parametrize("name", CHEATS)
def test_a_cheat_gets_nothing(name: str, exam: Exam, honest: float, sandbox: Sandbox) -> None:
    told = header(name)
    said, score = verdict(CHEATS[name], exam, sandbox)
    if "refused" in told:
        assert any(said.startswith(words) for words in told["refused"].split(" | ")), said
    else:
        assert not said
        assert score <= {"nothing": 0.0, "less": honest / 2}[told["worth"]]


@pytest.mark.parametrize("name", [name for name in CHEATS if "rule" in header(name)])
def test_the_static_rules_would_have_said_so_before(name: str) -> None:
    assert header(name)["rule"] in "\n".join(violations(Design(name, CHEATS[name])))


def test_a_loop_costs_its_own_limit_and_no_more(exam: Exam, process: Sandbox) -> None:
    started = time.monotonic()
    said, _ = verdict(CHEATS["loops"], exam, process)
    assert "in time" in said
    assert time.monotonic() - started < BRIEF.seconds + 20
    assert verdict(HONEST.source, exam, process)[1] > 0.3


def test_slow_answers_add_up_to_a_limit_for_the_whole_conversation(
    exam: Exam, process: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evolve.domains.memory.confined.START", 1.0)
    waiting = HONEST.source.replace("del ctx", "del ctx\n        while True:\n            pass")
    course = list(steps(exam))[-3:]
    with pytest.raises(DesignError, match="in time"):
        conversed(Design("slow", waiting), course, process, limits=Limits(seconds=60, memory_mb=768, processes=1))


def test_answers_known_by_their_hash_are_worth_nothing_on_fresh_questions(process: Sandbox) -> None:
    """No rule can see it; a winner is measured on what nobody has seen."""
    exams = generated.conversations(SCORED, 1)
    table = {
        hash_of(question.query.text): [hash_of(event.text) for event in exam.events if event.id in question.gold]
        for exam in exams
        for question in exam.questions
    }
    source = f"""
import hashlib
from knowledge.architecture import Hit, Retrieval, Verbatim
PARAMS = {{}}
TABLE = {table!r}
class Memory(Verbatim):
    def retrieve(self, query, bank, ctx):
        of = lambda text: hashlib.sha256(text.encode()).hexdigest()[:12]
        wanted = TABLE.get(of(query.text), ())
        return Retrieval([Hit(record.id, 1.0) for record in bank.iter() if of(record.text) in wanted][: query.k])
def build(params):
    return Memory()
"""
    domain = Memories(exams=1)
    task = domain.tasks()[0]
    first, fresh = (
        domain.evaluate(task, Candidate(files={FILE: source}), process, fresh=is_fresh) for is_fresh in (False, True)
    )
    assert first.score is not None
    assert fresh.score is not None
    assert first.score > 0.9
    assert fresh.score < 0.1


def hash_of(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()[:12]


SPY = """
import sys
from knowledge.architecture import Retrieval, Verbatim

PARAMS = {}


def seen():
    found, frame = [], sys._getframe()
    while frame:
        for value in [*frame.f_locals.values(), *frame.f_globals.values()]:
            found.append(repr(value))
        frame = frame.f_back
    return found


class Memory(Verbatim):
    def encode(self, event, ctx):
        known = any(HALF + OTHER in text for text in seen())
        return [record._replace(payload=str(known)) for record in super().encode(event, ctx)]

    def retrieve(self, query, bank, ctx):
        assert any(HALF + OTHER in text for text in seen())
        return Retrieval([])


def build(params):
    return Memory()
"""


def test_a_question_is_nowhere_in_the_process_before_its_turn(exam: Exam, sandbox: Sandbox) -> None:
    text = exam.questions[-1].query.text
    source = f"HALF, OTHER = {text[:9]!r}, {text[9:]!r}\n{SPY}"
    brief = exam._replace(events=exam.events[:5], questions=exam.questions[-1:])
    found = sit_confined(Design("spy", source), [brief], sandbox)[0]
    assert [record.payload for record in found.bank.iter()] == ["False"] * 5


# ---- an architecture that nobody trusts, in use


KEEPER = """
from knowledge.architecture import Add, AddLink, Hit, Link, Retrieval, SetState, Supersede, Verbatim

PARAMS = {}


class Memory(Verbatim):
    def store(self, new, bank, ctx):
        before = bank.state("last")
        for record in new:
            yield Add(record)
            yield SetState("last", record.id)
            if before:
                yield AddLink(record.id, Link(before, "after"))
        if (bank.state("count") or 0) % 3 == 2:
            yield Supersede(before, new[0].id)
        yield SetState("count", (bank.state("count") or 0) + 1)

    def retrieve(self, query, bank, ctx):
        hits = {hit.id: hit.score + bank.value(hit.id, query.stage).q for hit in bank.lexical(query.text, query.k)}
        near = bank.near(bank.state("last"), "after", hops=2) if bank.state("last") else []
        hits |= {hit.id: hit.score / 2 for hit in near if hit.id not in hits}
        return Retrieval([Hit(name, score) for name, score in sorted(hits.items(), key=lambda pair: -pair[1])])


def build(params):
    return Memory()
"""


@pytest.mark.parametrize("source", [HONEST.source, KEEPER], ids=["bm25", "keeper"])
def test_in_a_sandbox_a_memory_serves_a_bank_as_it_would_here(source: str, exam: Exam, process: Sandbox) -> None:
    def worth(record: Record, stage: str) -> Worth:
        return Worth(q=float(len(record.text) % 7), n=1) if stage == "qa" else Worth()

    design = Design("served", source)
    served, here = (Trial(each, Replica(worth=worth)) for each in (Remote(design, process), built(design)))
    for event in exam.events[:7]:
        served.ingest(event)
        here.ingest(event)
    served.tick(exam.events[7].time, close=True)
    here.tick(exam.events[7].time, close=True)
    assert list(served.bank.iter()) == list(here.bank.iter())
    for text in ("Hello", exam.events[3].text):
        query = exam.questions[0].query._replace(text=text)
        found = served.retrieve(query)
        assert found == here.retrieve(query)
    shown = served.recall(query)
    assert shown.hits
    assert served.feedback(shown.receipt, 1.0) == []


def test_what_a_served_memory_does_wrong_is_said(exam: Exam, process: Sandbox) -> None:
    served = Trial(Remote(Design("served", CHEATS["raises"]), process))
    served.ingest(exam.events[0])
    with pytest.raises(DesignError, match="division by zero"):
        served.retrieve(exam.questions[0].query)


# ---- the referee's program


def talk(sandbox: Sandbox, body: str, messages: Sequence[Any] = (1, 2, 3), **limits: float) -> Mapping[str, Any]:
    """What the referee reports of a program with this `main`."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    request = {
        "module": "talk",
        "messages": list(messages),
        "seconds": limits.get("seconds", 20.0),
        "line_bytes": 1000,
        "whole_bytes": 5000,
    }
    files = {"talk.py": f"import os, sys, time\ndef main(library):\n{lines}\n"}
    job = Job(program="converse", files=files, request=request, limits=Limits(seconds=2, memory_mb=256, processes=1))
    return sandbox.run(job).reply


ECHO = "print(flush=True)\nfor line in sys.stdin:\n    print('got', line.strip(), flush=True)"


def test_each_message_is_answered_before_the_next_is_sent(sandbox: Sandbox) -> None:
    reply = talk(sandbox, ECHO, [{"a": 1}, "zażółć", 3])
    assert reply["replies"] == ['got {"a": 1}', f"got {json.dumps('zażółć')}", "got 3"]
    assert len(reply["seconds"]) == 3
    assert not reply["failure"]
    early = "select.select([0], [], [], 0.05)[0]"
    looked = f"import select\nprint(flush=True)\nfor line in sys.stdin:\n    print({early}, flush=True)"
    assert talk(sandbox, looked)["replies"] == ["[]"] * 3


@pytest.mark.parametrize(
    ("body", "failure", "answered"),
    [
        ("print(flush=True)\nsys.stdin.readline()\nprint(1, flush=True)\ntime.sleep(60)", "timeout", 1),
        ("print(flush=True)\nsys.stdin.readline()\nprint(1, flush=True)\nos._exit(3)", "died", 1),
        ("print(flush=True)\nsys.stdin.readline()\nprint('x' * 2000, flush=True)\ntime.sleep(9)", "too_much", 0),
        ("print(flush=True)\nfor line in sys.stdin:\n    print('x' * 900, flush=True)", "too_much", 6),
        ("print(flush=True)\nsys.stdin.readline()\nos.write(1, b'1\\n2\\n')\ntime.sleep(9)", "unasked", 0),
        ("print(flush=True)\nos.close(1)\nos.close(0)\ntime.sleep(9)", "died", 0),
        ("print(flush=True)\nsys.stdin.readline()\nwhile True: os.write(2, b'x' * 99999)", "timeout", 0),
        ("print(flush=True)\ntime.sleep(60)", "timeout", 0),
    ],
)
def test_a_conversation_that_breaks_off_says_how_and_where(
    sandbox: Sandbox, body: str, failure: str, answered: int
) -> None:
    messages = ["x" * 100_000] * 8 if "sleep(60)" in body else list(range(8))
    reply = talk(sandbox, body, messages)
    assert reply["failure"] == failure
    assert len(reply["replies"]) == answered
    if "os._exit(3)" in body:
        assert reply["end"] == "exit code 3"


@pytest.mark.parametrize("body", ["os._exit(5)", "print('x' * 99999, flush=True)", "sys.exit('no filter here')"])
def test_a_program_that_is_never_ready_is_no_fault_of_a_candidate(body: str, sandbox: Sandbox) -> None:
    with pytest.raises(SandboxError, match="is not ready" + (".*no filter" if "filter" in body else "")):
        talk(sandbox, body)


def test_a_conversation_has_a_limit_as_a_whole(sandbox: Sandbox) -> None:
    body = "print(flush=True)\nfor line in sys.stdin:\n    time.sleep(0.3)\n    print(1, flush=True)"
    reply = talk(sandbox, body, range(20), seconds=1.0)
    assert reply["failure"] == "timeout"
    assert 0 < len(reply["replies"]) < 5


def test_the_end_of_what_it_complained_is_kept(sandbox: Sandbox) -> None:
    reply = talk(sandbox, "print(flush=True)\nsys.stderr.write('x' * 9000 + 'the end')\nsys.exit(1)")
    assert reply["failure"] == "died"
    assert reply["stderr"].endswith("the end")
    assert len(reply["stderr"]) <= 2000


def test_it_runs_with_nothing_of_the_hosts(sandbox: Sandbox) -> None:
    body = (
        "print(flush=True)\nsys.stdin.readline()\n"
        "print(os.getuid() == 0, sorted(os.environ), sorted(os.listdir('/proc/self/fd')), flush=True)"
    )
    reply = talk(sandbox, body, [1])
    assert "KEY" not in reply["replies"][0]
    assert "PATH" not in reply["replies"][0]
    assert "['0', '1', '2', '3']" in reply["replies"][0]


def test_its_own_files_are_not_its_to_change(sandbox: Sandbox) -> None:
    body = (
        "print(flush=True)\nsys.stdin.readline()\n"
        "try:\n    open(__file__, 'a').close(); print('changed', flush=True)\n"
        "except OSError as error:\n    print(type(error).__name__, flush=True)"
    )
    assert talk(sandbox, body, [1])["replies"] == ["PermissionError"]


FORGETFUL = """
from knowledge.architecture import Add, Retrieval, SetState, Verbatim
PARAMS = {}
class Forgetful(Verbatim):
    def store(self, new, bank, ctx):
        for record in new:
            yield Add(record)
            yield SetState("last", record.id)
            yield SetState(record.id, 1)
            yield SetState(record.id, None)
    def retrieve(self, query, bank, ctx): return Retrieval([])
def build(params):
    return Forgetful()
"""


def test_keys_of_state_that_are_gone_take_no_room_in_a_served_memory(exam: Exam, process: Sandbox) -> None:
    served = Trial(Remote(Design("forgetful", FORGETFUL), process))
    for event in exam.events[:3]:
        served.ingest(event)
    assert served.bank.state(KEYS) == ["last"]
    assert served.bank.state("last") == exam.events[2].id
