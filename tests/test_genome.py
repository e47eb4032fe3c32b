"""Programs of several designs in one module."""

import pytest

from evolve.domains.memory.exam import Exam
from evolve.domains.memory.generated import conversations
from evolve.domains.memory.lint import violations
from evolve.domains.memory.sitting import sit
from knowledge.architecture import DesignError, Param
from knowledge.design import Design, built, declared, seeds, signals
from knowledge.genome import Genome, compose, lean, told, written_params

PARTS = {**signals(), **seeds()}
BLEND = Genome("bm25", "bm25", (("bm25", 1.0), ("speaker", 0.2)), "bm25")


@pytest.fixture(scope="module")
def exam() -> Exam:
    whole = conversations(3, 1)[0]
    return whole._replace(events=whole.events[:60], questions=whole.questions[:10])


def found(design: Design, exam: Exam) -> list[list[str]]:
    return [[hit.id for hit in reply.found.hits] for reply in sit(built(design), exam).replies]


def test_four_programs_of_one_design_are_that_design_with_its_parameters_by_their_own_names() -> None:
    design = compose("x", Genome.of("bm25"), PARTS, {"bm25_k1": 2.0, "hcam_b": 0.1})
    assert design.source == seeds()["bm25"].source
    assert design.params == {"k1": 2.0}


def test_the_same_genome_is_always_the_same_text() -> None:
    assert compose("x", BLEND, PARTS, {}) == compose("x", BLEND, PARTS, {})


@pytest.mark.parametrize("other", sorted(seeds()))
def test_every_seed_can_give_its_programs_to_another_and_what_comes_of_it_is_a_lawful_module(
    other: str, exam: Exam
) -> None:
    for genome in (
        Genome(other, other, (("bm25", 1.0), (other, 0.5)), other),
        Genome(other, other, ((other, 1.0),), "bm25" if other != "bm25" else "hcam"),
    ):
        design = compose("x", genome, PARTS, {})
        assert violations(design) == []
        assert declared(design).keys() >= {f"{other}_{key}" for key in declared(seeds()[other])}
        assert len(found(design, exam)) == len(exam.questions)


@pytest.mark.parametrize("signal", sorted(signals()))
def test_every_signal_only_scores_records_that_are_there(signal: str, exam: Exam) -> None:
    genome = Genome("hcam", "hcam", (("hcam", 1.0), (signal, 0.3)), "hcam")
    design = compose("x", genome, PARTS, {})
    assert violations(design) == []
    assert found(design, exam) == found(design, exam)


def test_a_retriever_of_no_weight_changes_nothing(exam: Exam) -> None:
    alone = found(compose("x", Genome.of("bm25"), PARTS, {}), exam)
    blended = found(compose("x", BLEND, PARTS, {"weight_speaker": 0.0}), exam)
    assert [hits[: len(own)] for hits, own in zip(blended, alone, strict=True)] == alone


def test_a_heavy_speaker_puts_what_the_named_one_said_first(exam: Exam) -> None:
    design = compose("x", BLEND, PARTS, {"weight_speaker": 2.0})
    actors = {event.id: event.actor for event in exam.events}
    asked = [(each.query.text, hits) for each, hits in zip(exam.questions, found(design, exam), strict=True)]
    named = [
        (name, hits)
        for text, hits in asked
        for name in set(actors.values())
        if name in text and not any(other in text for other in set(actors.values()) - {name})
    ]
    assert named
    for name, hits in named:
        assert {actors[hit] for hit in hits[:5]} == {name}


def test_what_no_program_reaches_is_left_out() -> None:
    genome = Genome("bm25", "bm25", (("hcam", 1.0),), "bm25")
    source = compose("x", genome, PARTS, {}).source
    assert "def summed_up" in seeds()["hcam"].source
    assert "summed_up" not in source
    assert "class Hcam" in source


def test_parameters_of_a_part_have_its_name_and_reach_it(exam: Exam) -> None:
    genome = Genome("bm25", "bm25", (("bm25", 0.5), ("window", 1.0)), "bm25")
    first = found(compose("x", genome, PARTS, {"weight_window": 0.0, "bm25_b": 0.0, "bm25_k1": 0.2}), exam)
    alone = found(compose("x", Genome.of("bm25"), PARTS, {"bm25_b": 0.0, "bm25_k1": 0.2}), exam)
    assert [hits[:3] for hits in first] == [hits[:3] for hits in alone]


def test_a_part_that_is_no_module_is_a_design_error() -> None:
    with pytest.raises(DesignError, match="odd is no Python module"):
        compose("x", BLEND._replace(manage="odd"), {**PARTS, "odd": Design("odd", "def")}, {})


@pytest.mark.parametrize("name", sorted(PARTS))
def test_what_a_module_declares_can_be_read_without_running_it(name: str) -> None:
    assert written_params(PARTS[name].source) == declared(PARTS[name])


@pytest.mark.parametrize("params", ["{}", "dict(a=1)", "{'a': Param(*x)}", "{'a': Param(open('x'))}", "{**other}"])
def test_what_is_not_written_out_is_not_read(params: str) -> None:
    assert written_params(f"PARAMS = {params}") == {}


def test_numbers_may_be_written_with_their_names() -> None:
    assert written_params("PARAMS = {'a': Param(1, low=-1, high=2)}") == {"a": Param(1, -1, 2)}


def test_code_size_does_not_count_words_about_it() -> None:
    assert lean(
        '"""Doc."""\nimport math\n\n# why\ndef f(x: int) -> int:\n    """Doc."""\n    return (\n        x\n    )\n'
    ) == ("import math\n\ndef f(x):\n    return x")


def test_a_genome_is_told_in_one_line() -> None:
    assert told(BLEND) == "encode and store and manage of bm25, retrieve of bm25 and speaker"
