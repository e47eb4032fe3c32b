"""What is known of a target, cut into passages and found by name or by meaning."""

from collections.abc import Sequence

import pytest

from evolve.domains.kernels import Kernels
from knowledge.embed import HashEmbedding
from knowledge.lore import Lore, Passage
from knowledge.names import documented, in_words
from knowledge.passages import sections_of

FENCE = """```mojo
from algorithm import vectorize

fn body[width: Int](i: Int):
    out.store(i, x.load[width](i))

vectorize[body, 8](n)
```"""
VECTORS = f"# Vectors\n\nA loop over lanes is written with `vectorize`:\n{FENCE}"
THREADS = "# Threads\n\nShare out rows among cores with `parallelize`, for large arrays only."
MEMORY = "# Memory\n\nBandwidth bounds streaming loops; fuse passes to move fewer bytes."
SUMS = "# Sums\n\nA reduction waits for its accumulator; use several accumulators."
BASICS = "# Basics\n\n<!-- always -->\nEvery file exports `kernel` through `@export`."
DOCUMENTS = (VECTORS, THREADS, MEMORY, SUMS)


def lore(documents: Sequence[str] = DOCUMENTS) -> Lore:
    return Lore(documents, HashEmbedding())


def titles(found: Sequence[Passage]) -> list[str]:
    return [passage.title for passage in found]


def test_a_document_becomes_passages_under_its_headings() -> None:
    document = "Mojo in short\n\nOne paragraph.\n\n## Loops\nText of loops.\n### Unrolling ###\nText.\n## Empty\n"
    found = [(part.title, part.text) for part in sections_of(document)]
    assert found == [
        ("Mojo in short", "One paragraph."),
        ("Mojo in short: Loops", "Text of loops."),
        ("Mojo in short: Unrolling", "Text."),
    ]
    assert [part.title for part in sections_of("## A\nx\n## B\ny")] == ["A", "B"]
    assert [part.title for part in sections_of("One sentence.\n\nAnother one.")] == [""]


def test_long_sections_are_cut_between_paragraphs_or_sentences_and_short_rests_stay() -> None:
    paragraphs = [" ".join([f"p{number}"] * 100) + "." for number in range(5)]
    lengths = [len(part.text.split()) for part in sections_of("# T\n\n" + "\n\n".join(paragraphs))]
    assert lengths == [200, 200, 100]
    endless = " ".join(f"{'word ' * 19}end{number}." for number in range(30))
    cut = sections_of(f"# T\n\n{endless}")
    assert all(part.text.endswith(".") and len(part.text.split()) <= 250 for part in cut)
    assert " ".join(part.text for part in cut) == " ".join(endless.split())
    assert [len(part.text.split()) for part in sections_of("# T\n\n" + "a " * 240 + "\n\nb b b")] == [243]


def test_a_fenced_block_is_never_cut_and_stays_with_the_line_that_introduces_it() -> None:
    code = "```c\n" + "\n\n".join(f"# no heading {i};" for i in range(100)) + "\n```"
    parts = sections_of(f"# T\n\n{'word ' * 240}\n\nLike this:\n\n{code}\n\nAnd so on.")
    [holder] = [part for part in parts if "```" in part.text]
    assert code in holder.text
    assert "Like this:\n\n```" in holder.text


def test_a_passage_documents_what_it_names_as_code_and_not_its_own_variables() -> None:
    names = documented(VECTORS.partition("\n")[2])
    assert {"vectorize", "algorithm", "load", "store", "x.load"} <= names
    assert names.isdisjoint({"body", "loop", "lanes", "width", "fn", "Int"})
    assert documented("Use _mm512_madd_epi16 and tl.load in `a loop`.") == {
        "_mm512_madd_epi16",
        "tl.load",
        "load",
        "loop",
    }


def test_of_a_compilers_words_the_quoted_and_the_code_like_ones_are_names() -> None:
    said = set(in_words("error: use of unknown declaration 'vectorize'; parallel loops at x.load"))
    assert said == {"vectorize", "x.load", "load"}


@pytest.mark.parametrize(
    ("code", "words"),
    [({"kernel.mojo": "    parallelize(n)\n"}, ""), ({}, "use of unknown declaration 'parallelize'")],
)
def test_a_name_in_the_code_or_in_what_the_judge_said_finds_what_documents_it(code: dict[str, str], words: str) -> None:
    found = lore().look_up(code, words, k=2)
    assert (found[0].title, found[0].why) == ("Threads", "`parallelize`")


def test_the_meaning_of_the_words_finds_the_rest_and_says_by_which() -> None:
    [found] = lore().look_up({}, "the state is memory_bandwidth_saturated; bytes are moved", k=1)
    assert found.title == "Memory"
    assert found.why.startswith("words: ")
    assert "bandwidth" in found.why


def test_half_of_the_places_are_left_to_meaning() -> None:
    named = [f"# N{number}\n\nCall `name_{number}` here." for number in range(6)]
    code = {"a.c": "".join(f"name_{number}();\n" for number in range(6))}
    found = lore([*named, MEMORY, SUMS]).look_up(code, "bandwidth of streaming, accumulators of a reduction", k=4)
    assert titles(found)[:2] == ["N0", "N1"]
    assert set(titles(found)[2:]) == {"Memory", "Sums"}
    assert titles(lore([*named, MEMORY]).look_up(code, "", k=4)) == ["N0", "N1", "N2", "N3"]


def test_rare_names_come_first_and_one_that_most_passages_have_says_nothing() -> None:
    common = [f"# P{number}\n\nAlways `kernel`, {'`shared`' if number < 3 else 'no more'}." for number in range(8)]
    rare = "# Rare\n\nAlways `kernel`, and `rare`."
    found = lore([*common, rare]).look_up({"a.c": "kernel(); shared(); rare();"}, "", k=8)
    assert titles(found) == ["Rare", "P0", "P1", "P2"]


def test_what_has_nothing_to_do_with_the_question_is_not_shown() -> None:
    assert lore().look_up({"a.c": "x = 1;"}, "zebra", k=4) == []
    assert lore(()).look_up({"a.c": "vectorize"}, "anything") == []


def test_a_marked_section_is_shown_whatever_is_asked_and_takes_no_place() -> None:
    known = lore([BASICS, *DOCUMENTS])
    assert [(p.title, p.why) for p in known.look_up({}, "zebra")] == [("Basics", "always")]
    assert "always" not in known.always[0].text
    assert titles(known.look_up({}, "bandwidth", k=1)) == ["Basics", "Memory"]


def test_the_same_question_has_the_same_answer() -> None:
    code, words = {"a.mojo": "parallelize(load)"}, "a reduction in the loop"
    first = lore().look_up(code, words)
    assert first
    assert all(lore().look_up(code, words) == first for _ in range(3))


def test_the_lore_of_the_kernels_answers_to_intrinsics_and_to_bottlenecks() -> None:
    known = lore(Kernels().lore())
    by_name = known.look_up({"kernel.c": "acc = _mm512_dpbusd_epi32(acc, a, b);"}, "", k=4)
    assert by_name[0].title == "Narrow integers"
    by_meaning = known.look_up({}, "dependency_chain: the reduction waits for one accumulator", k=2)
    assert by_meaning[0].title == "Reductions and dependency chains"
