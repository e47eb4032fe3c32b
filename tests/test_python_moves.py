"""Changes of Python programs: each is a program, changes only what it may, and keeps all else as it was."""

import ast
from collections import Counter
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.domains.programs import blocks, moves

TASKS = Path(blocks.__file__).with_name("tasks")
PROGRAMS = {folder.name: (folder / "initial_program.py").read_text() for folder in sorted(TASKS.iterdir())}
ODD = '''\
"""Ünïcödé before the block: 記憶 = 1."""
WIDTH = 10
# EVOLVE-BLOCK-START
RATE = 0.25  # «kept»
FLAGS = {"mode": "fast", "deep": True}  # one of 'fast', 'slow', 'lazy'

def größe(x, y=3, *, seed=7):
    """Docstring with 12 numbers."""
    rng = default_rng(11)
    table = [0, 1, 2]
    best_x, best = x, table[1]
    for step in range(40):  # «loop»
        x = rng.uniform(-1.0, 1.0)
        if x < best_x and not (y > 2 or x == 0):
            break
        elif x > 9:
            best_x += 2 * x - (y + 1) / RATE
        else:
            best_x = f"{x + 1:>10}" and x
        best += max(x, y); y -= 1
    while best > 5: best //= 2
    lines = sorted(table)
    return best_x, (best if best else
                    y)
# EVOLVE-BLOCK-END
HEIGHT = 20
'''


def offered(source: str, seed: int = 1) -> list[tuple[str, str, str]]:
    return list(moves.mutations(source, blocks.changeable(source), Random(seed)))


@cache
def of_odd() -> list[tuple[str, str, str]]:
    return [each for seed in range(3) for each in offered(ODD, seed)]


def texts(technique: str) -> str:
    return "\n".join(program for name, _, program in of_odd() if name == technique)


@pytest.mark.parametrize("source", [*PROGRAMS.values(), ODD], ids=[*PROGRAMS, "odd"])
def test_every_change_is_a_new_program_and_leaves_what_is_fixed(source: str) -> None:
    found = offered(source)
    assert len(found) > 50
    assert len({program for _, _, program in found}) == len(found)
    for technique, _, program in found:
        assert technique.isidentifier()
        assert program != source
        ast.parse(program)
        assert blocks.parted(program)[0::2] == blocks.parted(source)[0::2]


@given(seed=st.integers(0, 10_000), length=st.integers(1, 6))
@settings(max_examples=25, deadline=None)
def test_changes_of_changes_are_programs_too(seed: int, length: int) -> None:
    rng, source = Random(seed), PROGRAMS[sorted(PROGRAMS)[seed % len(PROGRAMS)]]
    fixed = blocks.parted(source)[0::2]
    for _ in range(length):
        change = next(iter(moves.mutations(source, blocks.changeable(source), rng)), None)
        assert change is not None
        source = change[2]
        ast.parse(source)
        assert blocks.parted(source)[0::2] == fixed


def test_comments_and_layout_outside_of_a_change_stay() -> None:
    for technique, _, program in of_odd():
        if technique not in {"reorder_statements", "delete_statement", "repeat_loop"}:
            assert "# «kept»" in program
            assert "# «loop»" in program
        if technique == "perturb_parameter":
            blocks_of = SequenceMatcher(None, ODD.splitlines(), program.splitlines()).get_opcodes()
            assert sum(end - start for tag, start, end, _, _ in blocks_of if tag != "equal") == 1


def test_indices_docstrings_and_f_strings_are_no_parameters() -> None:
    for technique, _, program in of_odd():
        if technique not in {"delete_statement", "reorder_statements", "repeat_loop", "drop_term"}:
            assert "Docstring with 12 numbers." in program
            assert "x + 1:>10" in program or technique in {"scale_term", "swap_operator"}
        if technique.endswith("_parameter"):
            assert "table[1]" in program


@pytest.mark.parametrize(
    ("technique", "change"),
    [
        ("scale_parameter", "RATE = 0.5  #"),
        ("loop_count", "range(80)"),
        ("loop_count", "range(20)"),
        ("flip_flag", '"deep": False'),
        ("choose_option", "\"mode\": 'slow'"),
        ("relax_comparison", "x <= best_x"),
        ("reverse_comparison", "x > best_x"),
        ("swap_operator", "y - 1) / RATE"),
        ("swap_operator", "or not (y > 2"),
        ("drop_term", "best_x += (2 * x)\n"),
        ("swap_extremum", "min(x, y)"),
        ("substitute_function", "rng.normal(-1.0, 1.0)"),
        ("local_search", "best_x + "),
        ("negate_condition", "if not (x < best_x"),
        ("remove_early_exit", "            pass\n        elif"),
        ("reverse_order", "sorted(table, reverse=True)"),
        ("random_restarts", "_größe_once(x, y, seed + 1000 * number)"),
        ("delete_statement", "    pass\n"),
        ("reorder_statements", "best_x, best = x, table[1]\n    table = [0, 1, 2]"),
        ("step_parameter", "y=4"),
    ],
)
def test_a_technique_makes_the_change_that_it_is_named_for(technique: str, change: str) -> None:
    if technique == "random_restarts":
        source = ODD.replace("y=3, *, seed=7", "y=3, seed=7")
        assert any(change in program for name, _, program in offered(source) if name == technique)
    else:
        assert change in texts(technique)


def test_a_seed_is_drawn_anew() -> None:
    assert Counter(name for name, _, _ in offered(ODD))["reseed"] == 1


def test_restarts_are_not_wrapped_twice() -> None:
    source = next(program for name, _, program in offered(PROGRAMS["circle_packing"]) if name == "random_restarts")
    again = [program for name, _, program in offered(source) if name == "random_restarts"]
    assert all("__once" not in program and program.count("_attempt_once =") == 1 for program in again)


def test_the_same_random_numbers_give_the_same_changes_in_another_order_than_others() -> None:
    source = PROGRAMS["signal_filter"]
    assert offered(source, 3) == offered(source, 3) != offered(source, 4)


def test_named_parameters_mostly_come_first() -> None:
    first = [offered(PROGRAMS["signal_filter"], seed)[:5] for seed in range(20)]
    parameters = sum(name.endswith("_parameter") for each in first for name, _, _ in each)
    assert parameters > 50


@pytest.mark.parametrize("source", ["def f(:", "x = 1\0", "", "(" * 5000, "# nothing but a comment\n"])
def test_what_cannot_be_changed_offers_nothing(source: str) -> None:
    assert offered(source) == []


@pytest.mark.parametrize("seed", range(3))
def test_marks_that_a_writer_left_out_are_put_back(seed: int) -> None:
    for source in PROGRAMS.values():
        changed = offered(source, seed)[0][2]
        bare = "\n".join(line for line in changed.splitlines() if not line.lstrip().startswith("#"))
        whole = blocks.restored(source, bare)
        assert blocks.START in whole
        assert ast.dump(ast.parse(whole)) == ast.dump(ast.parse(changed))
        assert blocks.restored(source, whole) == whole


def test_several_blocks_are_told_apart_with_and_without_marks() -> None:
    start, end = (f"# EVOLVE-BLOCK-{mark}\n" for mark in ("START", "END"))
    source = f"a = 1\n{start}b = 2\n{end}c = 3\n{start}d = 4\n{end}"
    assert blocks.parted(source)[1::2] == ["b = 2\n", "d = 4\n"]
    assert [list(span) for span in blocks.changeable(source)] == [[3], [7]]
    assert blocks.restored(source, "a = 1\nb = 5\nc = 3\nd = 6\n") == source.replace("2", "5").replace("4", "6")
    with pytest.raises(blocks.MarksError, match="`c = 3` is missing"):
        blocks.restored(source, "a = 1\nb = 5\nd = 6\n")


def test_an_empty_block_may_be_filled_and_a_full_one_emptied() -> None:
    source = "a = 1\n# EVOLVE-BLOCK-START\n# EVOLVE-BLOCK-END\nc = 3\n"
    full = "a = 1\nb = 2\nc = 3\n"
    assert blocks.parted(blocks.restored(source, full))[1] == "b = 2\n"
    assert blocks.restored(source, "a = 1\nc = 3\n") == source
    assert blocks.restored("x = 1\n", "y = 2\n") == "y = 2\n"
