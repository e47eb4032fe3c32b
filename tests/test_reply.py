"""How models answer, and what is made of it."""

import pytest

from agents.reply import blocks, functions, named_technique, parse

SEED = "#include <stdint.h>\n\nvoid kernel(const float *x, float *out, int64_t N)\n{\n    out[0] = x[0];\n}\n"
SHOWN = {"kernel.c": SEED}
REQUIRED = frozenset({"kernel"})
FAST = SEED.replace("x[0]", "x[1]")
ELIDED = SEED.replace("out[0]", "// ... rest of the code\n    out[0]")


def test_a_whole_file_in_a_fence_with_a_technique_is_read() -> None:
    reply = parse(f"technique: loop unrolling\n```c\n{FAST}```\n", SHOWN, REQUIRED)
    assert reply == ({"kernel.c": FAST}, "loop unrolling", "", None)


@pytest.mark.parametrize(
    "text",
    [
        f"Sure! Here is the code:\n\n```c\n{FAST}```\nThis is faster because it is.",
        f"```c\n{FAST}",
        f"```C kernel.c\n{FAST}```",
        f"```c\nkernel.c\n{FAST}```",
        f"```c\n{FAST}\ntechnique: x\n```",
        f"**kernel.c**\n```\n{FAST}```",
        f"~~~c\n{FAST}~~~",
        f"````c\n{FAST}````",
        f"  ```c solution.c\n{FAST}  ```",
        f"<think>```c\n{SEED}```</think>\n```c\n{FAST}```",
        f"The seed was:\n```c\n{SEED}```\nand now:\n```c\n{FAST}```\n",
        f"```c\n{FAST}```\nTest it with:\n```c\nint main(void) {{ kernel(x, out, 3); }}\n```",
        f"```c\n{FAST}```\nBuild:\n```bash\ngcc -O3 kernel.c\n```",
        f"Here is the file.\n\n{FAST}\nIt is fast.",
        f"```c\n{FAST}```\nOr else:\n```c\n{SEED}",
    ],
)
def test_the_file_is_found_however_it_is_wrapped(text: str) -> None:
    reply = parse(text, SHOWN, REQUIRED)
    assert reply.problem == ""
    assert reply.files == {"kernel.c": FAST}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the reply is empty"),
        ("<think>hm", "the reply is empty"),
        ("I would unroll the loop.", "there is no code block in the reply; give the complete file kernel.c in one"),
        ("```c\nvoid other(void)\n{\n}\n```", "no code in the reply defines `kernel`"),
        ("```c\nvoid kernel(const float *x);\n```", "no code in the reply defines `kernel`"),
        (
            f"```c\n{ELIDED}```",
            "the code leaves something out ('// ... rest of the code'); give the complete file kernel.c",
        ),
    ],
)
def test_what_cannot_be_used_is_told_in_a_sentence(text: str, problem: str) -> None:
    assert parse(text, SHOWN, REQUIRED) == ({}, "", problem, None)


def test_a_reply_cut_off_inside_the_code_is_told_apart_from_a_forgotten_fence() -> None:
    open_ended = f"technique: tiling\n```c\n{FAST}"
    assert parse(open_ended, SHOWN, REQUIRED).problem == ""
    cut = parse(open_ended, SHOWN, REQUIRED, truncated=True)
    assert cut.files == {}
    assert cut.problem.startswith("the reply was cut off at the token limit")
    assert parse(f"```c\n{FAST}```\nand the reason is", SHOWN, REQUIRED, truncated=True).files == {"kernel.c": FAST}


def test_forgotten_includes_are_those_of_the_file_that_was_shown() -> None:
    bare = FAST.removeprefix("#include <stdint.h>\n\n")
    assert parse(f"```c\n{bare}```", SHOWN, REQUIRED).files == {"kernel.c": FAST}
    own = f"#include <inttypes.h>\n{bare}"
    assert parse(f"```c\n{own}```", SHOWN, REQUIRED).files == {"kernel.c": own}


def test_edits_apply_to_the_files_that_were_shown() -> None:
    text = "technique: x\n<<<<<<< SEARCH\n    out[0] = x[0];\n=======\n    out[0] = x[1];\n>>>>>>> REPLACE\n"
    assert parse(text, SHOWN, REQUIRED).files == {"kernel.c": FAST}
    assert parse(text.replace("x[0]", "y[0]"), SHOWN, REQUIRED).problem.startswith("edit 1 does not apply")


def test_edits_cut_off_at_the_token_limit_keep_those_that_were_complete() -> None:
    first = "<<<<<<< SEARCH\n    out[0] = x[0];\n=======\n    out[0] = x[1];\n>>>>>>> REPLACE\n"
    cut = parse(f"{first}<<<<<<< SEARCH\n{{\n", SHOWN, REQUIRED, truncated=True)
    assert cut.files == {}
    assert cut.problem.startswith("the reply was cut off at the token limit: edit 2 is not complete")
    assert cut.kept is not None
    rest = "technique: x\n<<<<<<< SEARCH\n{\n=======\n{\n    N++;\n>>>>>>> REPLACE\n"
    mended = parse(rest, SHOWN, REQUIRED, kept=cut.kept)
    assert mended.files == {"kernel.c": FAST.replace("{\n", "{\n    N++;\n")}
    assert parse(f"{first}and so", SHOWN, REQUIRED, truncated=True).files == {"kernel.c": FAST}


def test_a_whole_file_may_repair_edits_and_loses_none_of_the_other_files() -> None:
    shown = {"kernel.c": SEED, "sizes.h": "#define TILE 8\n"}
    edits = "<<<<<<< SEARCH\n#define TILE 8\n=======\n#define TILE 16\n>>>>>>> REPLACE\n"
    half = parse(f"{edits}<<<<<<< SEARCH\nnot there\n=======\n>>>>>>> REPLACE\n", shown, REQUIRED)
    mended = parse(f"```c kernel.c\n{FAST}```", shown, REQUIRED, kept=half.kept)
    assert mended.files == {"kernel.c": FAST, "sizes.h": "#define TILE 16\n"}


def test_of_several_files_those_that_are_named_change() -> None:
    shown = {"kernel.c": SEED, "sizes.h": "#define TILE 8\n", "notes.h": "\n"}
    reply = parse("```c src/sizes.h\n#define TILE 16\n```", shown, REQUIRED)
    assert reply.files == {"kernel.c": SEED, "sizes.h": "#define TILE 16\n", "notes.h": "\n"}
    assert parse(f"```c\n{FAST}```", shown, REQUIRED).files["kernel.c"] == FAST
    assert "has no file name" in parse("```c\n#define X 1\n```", shown, REQUIRED).problem


def test_a_task_without_a_seed_takes_the_name_from_the_reply_but_none_outside_the_folder() -> None:
    assert parse("```python solve.py\nx = 1\n```", {}, frozenset()).files == {"solve.py": "x = 1\n"}
    assert "has no file name" in parse("```python ../solve.py\nx = 1\n```", {}, frozenset()).problem
    assert "has no file name" in parse("```python\nx = 1\n```", {}, frozenset()).problem


@pytest.mark.parametrize(
    ("line", "technique"),
    [
        ("technique: Loop Tiling + SIMD", "loop tiling + simd"),
        ("**Technique:** `loop unrolling`, prefetching.", "loop unrolling + prefetching"),
        ("// Technique used: restrict", "restrict"),
        ("Technique: the seed already uses a plain loop, simd", "simd"),
        ("Technique: No vector intrinsics used.", ""),
        ("technique: none, no-alias pointers", "no-alias pointers"),
        ("no such line", ""),
    ],
)
def test_the_technique_is_read_however_it_is_dressed(line: str, technique: str) -> None:
    assert named_technique(f"Hello.\n{line}\nmore") == technique


def test_an_endless_technique_is_cut() -> None:
    assert len(named_technique("technique: " + "tiling + " * 100)) == 120


def test_the_functions_of_a_file_are_those_it_offers_to_others() -> None:
    code = "static float f(float x)\n{\n    if (x) { return g(x); }\n}\n" + SEED
    assert functions({"kernel.c": code}) == {"kernel"}
    assert functions({"a.py": "def solve(x):\n    def inner(): ...\nclass Box: ..."}) == {"solve", "Box"}


def test_blocks_are_read_in_order_and_the_last_may_be_open() -> None:
    found = blocks("```c a.c\n1\n```\ntext\n```\n2\n```\n```c\n3")
    assert [(block.name, block.code, block.closed) for block in found] == [
        ("a.c", "1\n", True),
        ("", "2\n", True),
        ("", "3\n", False),
    ]
