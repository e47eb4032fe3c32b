"""Search/replace edits."""

from agents.edits import apply_edits, has_edits

CODE = "void kernel(void)\n{\n    a();\n    b();\n    a();\n}\n"
SHOWN = {"kernel.c": CODE}


def edit(search: str, replace: str) -> str:
    return f"<<<<<<< SEARCH\n{search}\n=======\n{replace}\n>>>>>>> REPLACE\n"


def test_edits_change_the_lines_they_name_in_order() -> None:
    text = f"Here you go:\n```c\n{edit('    b();', '    c();')}```\nand\n{edit('    c();', '    d();')}"
    assert has_edits(text)
    files, problem = apply_edits(text, SHOWN)
    assert problem == ""
    assert files == {"kernel.c": CODE.replace("b()", "d()")}
    assert SHOWN == {"kernel.c": CODE}


def test_an_empty_replacement_deletes() -> None:
    files, _ = apply_edits("<<<<<<< SEARCH\n    b();\n=======\n>>>>>>> REPLACE", SHOWN)
    assert files == {"kernel.c": CODE.replace("    b();\n", "")}


def test_wrong_indentation_is_forgiven_and_carried_over() -> None:
    files, problem = apply_edits(edit("b();", "if (x) {\n    c();\n}"), SHOWN)
    assert problem == ""
    assert "    if (x) {\n        c();\n    }\n" in files["kernel.c"]


def test_an_edit_that_does_not_apply_is_named_with_the_nearest_line() -> None:
    files, problem = apply_edits(edit("    b();", "    c();") + edit("    bb();", "    c();"), SHOWN)
    assert files == {}
    assert problem == "edit 2 does not apply: its SEARCH lines are not in the file; the nearest line is 'a();'"


def test_an_ambiguous_edit_asks_for_the_lines_around_it() -> None:
    assert "occur 2 times; add lines around them" in apply_edits(edit("    a();", "x"), SHOWN)[1]


def test_an_unfinished_edit_is_told_what_it_lacks() -> None:
    assert apply_edits("<<<<<<< SEARCH\n    b();\n=======\n    c();", SHOWN)[1].startswith("edit 1 is not complete")


def test_an_edit_that_searches_for_nothing_is_refused() -> None:
    assert "has nothing to search for" in apply_edits(edit("", "x"), SHOWN)[1]


def test_an_edit_finds_its_file_among_several() -> None:
    files, _ = apply_edits(edit("int x;", "long x;"), {"a.c": "int y;\n", "b.h": "int x;\n"})
    assert files == {"a.c": "int y;\n", "b.h": "long x;\n"}
