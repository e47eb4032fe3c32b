"""Search/replace edits."""

import pytest

from agents.edits import apply_edits, has_edits

CODE = "void kernel(void)\n{\n    a();\n    b();\n    a();\n}\n"
SHOWN = {"kernel.c": CODE}


EDIT = "<<<<<<< SEARCH\nint x;\n=======\nlong x;\n>>>>>>> REPLACE\n"


def edit(search: str, replace: str) -> str:
    return f"<<<<<<< SEARCH\n{search}\n=======\n{replace}\n>>>>>>> REPLACE\n"


def test_edits_change_the_lines_they_name_in_order() -> None:
    text = f"Here you go:\n```c\n{edit('    b();', '    c();')}```\nand\n{edit('    c();', '    d();')}"
    assert has_edits(text)
    edited = apply_edits(text, SHOWN)
    assert edited.problem == ""
    assert edited.files == {"kernel.c": CODE.replace("b()", "d()")}
    assert SHOWN == {"kernel.c": CODE}


def test_an_empty_replacement_deletes() -> None:
    assert apply_edits("<<<<<<< SEARCH\n    b();\n=======\n>>>>>>> REPLACE", SHOWN).files == {
        "kernel.c": CODE.replace("    b();\n", "")
    }


def test_wrong_indentation_is_forgiven_and_carried_over() -> None:
    edited = apply_edits(edit("b();", "if (x) {\n    c();\n}"), SHOWN)
    assert edited.problem == ""
    assert "    if (x) {\n        c();\n    }\n" in edited.files["kernel.c"]


def test_an_edit_that_does_not_apply_is_named_with_what_stands_there_and_the_others_apply() -> None:
    text = edit("    b();", "    c();") + edit("    bb();\n    a();", "    c();") + edit("{", "{ // start")
    edited = apply_edits(text, SHOWN)
    assert edited.files == {"kernel.c": CODE.replace("    b();", "    c();").replace("{", "{ // start")}
    assert edited.problem == ("edit 2 does not apply: its SEARCH lines are not in the file; the nearest line is 'a();'")
    assert edited.near == "{\n    a();\n    c();\n    a();"
    assert len(edited.applied) == 2


def test_every_edit_that_does_not_apply_is_named() -> None:
    problem = apply_edits(edit("    a();", "x") + edit("    b();", "c") + edit("", "y"), SHOWN).problem
    assert problem == (
        "edit 1 is ambiguous: its SEARCH lines occur 2 times; add lines around them; "
        "edit 3 has nothing to search for; copy the lines to change into its SEARCH part"
    )


def test_a_repair_goes_on_from_the_edits_that_applied() -> None:
    grown = edit("    b();", "    b();\n    c();")
    first = apply_edits(grown + edit("void kern()", "int kernel(void)"), SHOWN)
    right = edit("void kernel(void)", "int kernel(void)")
    wanted = {"kernel.c": CODE.replace("    b();", "    b();\n    c();").replace("void kernel", "int kernel")}
    for repair in (right, grown + right):
        edited = apply_edits(repair, first.files, first.applied)
        assert (edited.files, edited.problem) == (wanted, "")


def test_an_unfinished_edit_is_told_what_it_lacks_and_spoils_no_other() -> None:
    open_ended = "<<<<<<< SEARCH\n    b();\n=======\n    c();\n"
    assert apply_edits(open_ended, SHOWN).problem.startswith("edit 1 is not complete")
    edited = apply_edits(open_ended + edit("{", "{ // start"), SHOWN)
    assert edited.problem.startswith("edit 1 is not complete")
    assert edited.files == {"kernel.c": CODE.replace("{", "{ // start")}


def test_what_looks_like_a_divider_may_be_put_in() -> None:
    assert "======\n" in apply_edits(edit("    b();", "// title\n======"), SHOWN).files["kernel.c"]


def test_an_edit_finds_its_file_among_several() -> None:
    assert apply_edits(edit("int x;", "long x;"), {"a.c": "int y;\n", "b.h": "int x;\n"}).files == {
        "a.c": "int y;\n",
        "b.h": "long x;\n",
    }


@pytest.mark.parametrize(
    "text",
    [
        f"b.h\n{EDIT}",
        f"### File: `src/b.h`\n\n{EDIT}",
        f"```c b.h\n{EDIT}```",
        f"b.h\n```c\n{EDIT}```",
        EDIT.replace("SEARCH", "SEARCH b.h"),
    ],
)
def test_an_edit_that_names_its_file_changes_that_one_alone(text: str) -> None:
    shown = {"a.c": "int x;\n", "src/b.h": "int x;\n"}
    assert apply_edits(text, shown).files == {"a.c": "int x;\n", "src/b.h": "long x;\n"}
    assert "ambiguous" in apply_edits(EDIT, shown).problem
    assert "are not in src/b.h" in apply_edits(text.replace("int x", "int z"), shown).problem


def test_a_sentence_that_mentions_a_file_names_none() -> None:
    shown = {"a.c": "int x;\n", "b.h": "int y;\n"}
    assert apply_edits(f"Unlike in b.h, we widen x here:\n{EDIT}", shown).files["a.c"] == "long x;\n"
