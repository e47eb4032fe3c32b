"""`evolve memory`: which architectures there are, and a table of how well they remember."""

import json
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from agents.model import ScriptedModel
from evolve.domains.memory.answers import answered, drawn, f1, recalled
from evolve.domains.memory.bench import Row, Sheet, bench, confined
from evolve.domains.memory.exam import Exam
from evolve.domains.memory.generated import conversations
from evolve.domains.memory.grading import grade, scores
from evolve.domains.memory.rewrites import stream
from evolve.domains.memory.sitting import sit
from evolve.domains.memory.workers import _know
from evolve.errors import InfrastructureError, ModelError
from evolve.types import Prompt, Sandbox
from knowledge.architecture import DesignError
from knowledge.design import Design, built, seeds
from knowledge.stems import stem
from tests.command import evolve, last_json
from tests.provider import Provider, refuses, says

KEYS = {
    "recall@5", "recall@10", "se", "grounded@512", "grounded@1024", "grounded@2048", "tokens", "p50_ms", "write_ms",
    "stale_rate", "by_category", "records", "questions",
}  # fmt: skip
PLAIN = '''
"""Mine."""
from knowledge.architecture import Retrieval, Verbatim
PARAMS = {}
class Mine(Verbatim):
    def retrieve(self, query, bank, ctx):
        return Retrieval(bank.lexical(query.text, query.k))
def build(params):
    return Mine()
'''
RAISING = PLAIN.replace("return Retrieval(bank", "raise OSError('no disk')\n        return Retrieval(bank")


def recall(name: str, exams: Sequence[Exam]) -> float:
    found = scores([grade(exam, sit(built(seeds()[name]), exam)) for exam in exams])["recall@10"]
    assert isinstance(found, float)
    return found


def stale(name: str, exam: Exam) -> float:
    found = scores([grade(exam, sit(built(seeds()[name]), exam))])["stale_rate"]
    assert isinstance(found, float)
    return found


def small() -> Sheet:
    exam = conversations(1, 1)[0]
    return Sheet([exam._replace(questions=exam.questions[:12])], stream(1, slots=10, chatter=10), [(0, 5)])


# ---- made-up conversations


def test_conversations_are_the_same_for_a_seed_and_others_for_another() -> None:
    assert conversations(5, 2) == conversations(5, 2)
    assert conversations(5, 2)[0].events[3].text != conversations(6, 1)[0].events[3].text
    first, second = conversations(5, 2)
    assert {event.id for event in first.events}.isdisjoint(event.id for event in second.events)


def test_conversations_are_long_and_have_questions_of_every_category() -> None:
    for exam in conversations(2, 3):
        ids = [event.id for event in exam.events]
        assert 250 < len(ids) == len(set(ids)) < 400
        assert 55 <= len(exam.questions) <= 95
        assert {question.category for question in exam.questions} == {"1", "2", "3", "4"}
        assert all(question.gold and question.gold <= set(ids) for question in exam.questions)
        assert len({event.scope for event in exam.events}) == 15
        times = [event.time for event in exam.events]
        assert times == sorted(times)
        assert all(question.query.now > times[-1] for question in exam.questions)
        assert any(len(question.gold) > 2 for question in exam.questions if question.category == "1")


def test_the_gold_turns_hold_the_answers() -> None:
    for exam in conversations(4, 2):
        texts = {event.id: event.text for event in exam.events}
        for question in exam.questions:
            told = " ".join(texts[name] for name in question.gold)
            if question.category in {"1", "4"}:
                assert all(answer in told for answer in question.answer.split(", "))


def test_architectures_rank_on_them_as_on_real_ones() -> None:
    exams = conversations(9, 3)
    order = [recall(name, exams) for name in ("hcam", "window", "bm25", "dense", "recent", "none")]
    assert order == sorted(order, reverse=True)
    assert 0.5 < recall("bm25", exams) < 0.7
    assert order[0] > order[2] + 0.05
    assert order[-1] == 0


# ---- a stream of things that change


def test_the_last_telling_is_gold_and_those_before_it_are_stale() -> None:
    exam = stream(3)
    place = {event.id: number for number, event in enumerate(exam.events)}
    texts = {event.id: event.text for event in exam.events}
    assert len(exam.questions) == 120
    for question in exam.questions:
        (newest,) = question.gold
        assert question.answer in texts[newest]
        assert question.stale
        assert all(place[old] < place[newest] and question.answer not in texts[old] for old in question.stale)
    assert stream(3) == exam != stream(4)


def test_words_alone_answer_with_old_values_and_a_ledger_less_often() -> None:
    exam = stream(7)
    assert stale("bm25", exam) > 0.5
    assert stale("slot_ledger", exam) < 0.8 * stale("bm25", exam)
    assert stale("recent", exam) < stale("bm25", exam)


# ---- answers of a model


@pytest.mark.parametrize(
    ("category", "answer", "said", "worth"),
    [
        ("4", "a blue vase", "The blue vases!", 1.0),
        ("4", "a blue vase", "a green vase", 0.5),
        ("4", "vase", "", 0.0),
        ("2", "7 May 2023", "7 May, 2023.", 1.0),
        ("1", "pottery, hiking", "hiking, pottery, chess", 1.0),
        ("1", "pottery, hiking", "hiking", 0.5),
        ("4", "pottery, hiking", "hiking", 2 / 3),
        ("3", "Likely yes; she loves the sea", "likely yes", 1.0),
        ("4", "Likely yes; she loves it", "likely yes", 4 / 7),
    ],
)
def test_answers_are_scored_as_locomo_does(category: str, answer: str, said: str, worth: float) -> None:
    assert f1(category, answer, said) == pytest.approx(worth)


def test_a_model_is_asked_with_what_was_recalled_and_its_dates() -> None:
    exam = conversations(1, 1)[0]
    place = next(number for number, question in enumerate(exam.questions) if question.category == "4")
    question = exam.questions[place]
    sitting = sit(built(seeds()["bm25"]), exam)
    model = ScriptedModel([question.answer])
    assert answered(model, [(question, recalled(sitting, place))]) == [1.0]
    (prompt,) = model.prompts
    text = prompt.messages[0].content
    assert question.query.text in text
    assert " 2024] " in text
    assert question.answer not in question.query.text
    assert len(text) < 8000


def test_every_architecture_answers_the_same_questions() -> None:
    exams = conversations(1, 3)
    taken = drawn(exams, 20, 5)
    assert sum(map(len, taken)) == 20
    assert taken == drawn(exams, 20, 5) != drawn(exams, 20, 6)
    everything = drawn(exams, 10_000, 5)
    assert [len(some) for some in everything] == [len(exam.questions) for exam in exams]


def test_a_model_that_fails_is_said() -> None:
    def refuse(prompt: Prompt) -> str:
        raise ModelError(f"no credit for {prompt.key}")

    question = conversations(1, 1)[0].questions[0]
    with pytest.raises(ModelError, match="no credit"):
        answered(ScriptedModel(refuse), [(question, "")] * 9)


# ---- the table


def test_a_row_is_what_sitting_the_exams_here_gives() -> None:
    sheet = small()
    told: list[Row] = []
    rows = bench([seeds()["window"], seeds()["bm25"]], sheet, listen=told.append)
    assert [row.name for row in rows] == ["window", "bm25"]
    assert sorted(row.name for row in told) == ["bm25", "window"]
    sitting = sit(built(seeds()["bm25"]), sheet.exams[0])
    mine = scores([grade(sheet.exams[0], sitting)])
    found = rows[1].scores
    assert found.keys() == KEYS
    assert {key: found[key] for key in ("recall@10", "tokens", "records", "by_category")} == {
        key: mine[key] for key in ("recall@10", "tokens", "records", "by_category")
    }
    assert found["stale_rate"] > 0
    assert rows[1].judged[0].recalled == (recalled(sitting, 0), recalled(sitting, 5))


def test_an_architecture_that_fails_does_not_stop_the_others() -> None:
    rows = bench([Design("broken", RAISING), Design("plain", PLAIN)], small())
    assert rows[0].failed == "retrieve: OSError: no disk"
    assert rows[1].failed == ""
    assert rows[1].scores["recall@10"] > 0


def test_a_fault_crosses_processes_whole() -> None:
    fault = pickle.loads(pickle.dumps(DesignError("store", "no disk")))
    assert isinstance(fault, DesignError)
    assert (fault.method, fault.reason, str(fault)) == ("store", "no disk", "store: no disk")


def test_whoever_comes_first_is_not_timed_looking_words_up() -> None:
    sheet = small()
    stem.cache_clear()
    _know([exam for exam, _ in sheet.parts])
    looked_up = stem.cache_info().misses
    assert looked_up > 100
    sit(built(seeds()["bm25"]), sheet.exams[0])
    assert stem.cache_info().misses == looked_up


def test_a_process_that_dies_is_said() -> None:
    dying = PLAIN.replace("return Retrieval(bank", "import os; os._exit(3)\n        return Retrieval(bank")
    with pytest.raises(InfrastructureError, match="was killed"):
        bench([Design("dying", dying)], small())


def test_a_stranger_is_judged_in_a_sandbox(process: Sandbox) -> None:
    sheet = small()
    row = confined(Design("mine.py", PLAIN), sheet, process)
    assert row.failed == ""
    assert row.scores["recall@10"] == bench([seeds()["bm25"]], sheet)[0].scores["recall@10"]
    assert "no disk" in confined(Design("broken.py", RAISING), sheet, process).failed


# ---- the command


def data(folder: Path) -> str:
    turns = [
        {"dia_id": f"D1:{number}", "speaker": speaker, "text": text}
        for number, (speaker, text) in enumerate(
            [("Ada", "Where did you leave the ladder?"), ("Bo", "Behind the shed."), ("Ada", "My kiln is broken.")], 1
        )
    ]
    content = {
        "sample_id": "c1",
        "conversation": {"session_1": turns, "session_1_date_time": "1:56 pm on 8 May, 2023"},
        "qa": [{"question": "Whose kiln is broken?", "answer": "Ada's", "evidence": ["D1:3"], "category": 4}],
    }
    (folder / "small.json").write_text(json.dumps([content]))
    return "small.json"


def test_list_tells_every_architecture(tmp_path: Path) -> None:
    told = last_json(evolve(tmp_path, "memory", "list", "--json"))
    assert [one["name"] for one in told] == list(seeds())
    bm25 = next(one for one in told if one["name"] == "bm25")
    assert bm25["about"].startswith("Every event as it is")
    assert bm25["params"]["k1"]["default"] == 1.2
    assert all(one["about"] and one["lines"] > 5 for one in told)
    table = evolve(tmp_path, "memory", "list").stdout
    assert all(name in table for name in seeds())


def test_bench_prints_one_object_with_every_figure(tmp_path: Path) -> None:
    told = last_json(evolve(tmp_path, "memory", "bench", "bm25", "none", "--data", data(tmp_path), "--json"))
    assert list(told) == ["bm25", "none"]
    assert told["bm25"].keys() == KEYS
    assert told["bm25"]["by_category"] == {"4": 1.0}
    assert (told["bm25"]["recall@10"], told["none"]["recall@10"], told["bm25"]["questions"]) == (1, 0, 1)
    assert told["bm25"]["stale_rate"] > 0.4


def test_bench_prints_a_table_with_the_best_first_and_why_one_failed(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import os\nPARAMS = {}\n")
    result = evolve(
        tmp_path, "memory", "bench", "none", "bm25", "mine.py", "--data", data(tmp_path), "--sandbox", "process"
    )
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].strip() == "1 conversation, 1 question"
    assert [line.split()[0] for line in lines[1:4]] == ["architecture", "bm25", "none"]
    assert lines[-1].startswith("mine.py failed: import: ")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("bm26",), "evolve: unknown architecture 'bm26'; did you mean: bm25"),
        (("mine.py",), "evolve: mine.py cannot be read: No such file or directory"),
        (("none", "--data", "no.json"), "evolve: no.json cannot be read: No such file or directory"),
        (("none", "--data", "odd.json"), "evolve: odd.json is no LoCoMo: [0].qa: Field required"),
        (("none", "--model", "offline"), "evolve: offline answers no questions"),
        (("none", "--model", "nobody"), "evolve: unknown model 'nobody'"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(tmp_path: Path, words: Sequence[str], sentence: str) -> None:
    (tmp_path / "odd.json").write_text('[{"sample_id": "c", "conversation": {}}]')
    result = evolve(tmp_path, "memory", "bench", *words)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(sentence)
    assert result.stderr.count("\n") == 1


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_model_adds_what_its_answers_are_worth(tmp_path: Path, provider: Provider) -> None:
    provider.behaviours = [says("Ada's, I think")]
    environment = {"OPENAI_API_BASE": f"http://127.0.0.1:{provider.server_port}/v1"}
    words = ("memory", "bench", "bm25", "--data", data(tmp_path), "--model", "openai/tiny", "--json")
    told = last_json(evolve(tmp_path, *words, environment=environment))
    assert told["bm25"]["f1"] == pytest.approx(0.5)
    (request,) = provider.requests
    assert "[08 May 2023] Ada: My kiln is broken." in request["messages"][0]["content"]
    provider.behaviours = [refuses(401, "the key is wrong")]
    refused = evolve(tmp_path, *words, environment=environment)
    assert (refused.returncode, refused.stdout) == (3, "")
    assert "the key is wrong" in refused.stderr


def test_help_needs_no_numpy(tmp_path: Path) -> None:
    program = "import sys; import evolve.cli; print(sorted({'numpy', 'litellm', 'chromadb'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", program], text=True, capture_output=True, check=True, cwd=tmp_path)
    assert found.stdout.strip() == "[]"
