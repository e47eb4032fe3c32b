"""`evolve memory list`, `bench`, `transfer`: the memory architectures there are, and how well they remember."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evolve.cli import completing, transfer
from evolve.cli.kb.telling import many
from evolve.cli.options import Json
from evolve.cli.output import number, plain, print_json, print_table
from evolve.errors import UsageError

if TYPE_CHECKING:
    from evolve.domains.memory.bench import Row, Sheet
    from evolve.domains.memory.exam import Exam
    from knowledge.architecture import Param
    from knowledge.design import Design

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)
transfer.register(app)
CONVERSATIONS = 6
"""Made up where no data is given."""
_SENTENCE_END = re.compile(r"(?<!\bal)\.(?=\s|$)")


@app.command("list")
def listing(json: Json = False) -> None:
    """List the memory architectures that are shipped."""
    from knowledge.design import declared, seeds

    known = [(design, declared(design)) for design in seeds().values()]
    if json:
        print_json(
            [
                {
                    "name": design.name,
                    "about": _about(design),
                    "params": {name: param._asdict() for name, param in params.items()},
                    "lines": design.lines,
                }
                for design, params in known
            ]
        )
        return
    rows = [(design.name, str(design.lines), _about(design), _defaults(params)) for design, params in known]
    print_table(("architecture", "#lines", "what it is", "parameters"), rows)


def _about(design: "Design") -> str:
    """The first sentence of its docstring."""
    import ast

    told = " ".join((ast.get_docstring(ast.parse(design.source)) or "").split())
    return _SENTENCE_END.split(told, maxsplit=1)[0]


def _defaults(params: "dict[str, Param] | Any") -> str:
    return ", ".join(f"{name} {param.default:g}" for name, param in params.items())


@app.command()
def bench(
    architectures: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ARCH]…",
            help="Names that `list` shows, or files with a module; all names without.",
            autocompletion=completing.architectures,
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Conversations in LoCoMo's format; made-up ones without.", metavar="FILE")
    ] = None,
    seed: Annotated[int, typer.Option(help="Draws what is random.")] = 0,
    model: Annotated[str, typer.Option(help="Answers from what was recalled, PROVIDER/MODEL: adds f1.")] = "",
    questions: Annotated[int, typer.Option(min=1, help="How many the model answers for each architecture.")] = 50,
    sandbox: Annotated[str, typer.Option(help="For files: auto, docker or process.")] = "auto",
    json: Json = False,
) -> None:
    """Let architectures remember conversations, and score what they recall.

    Gold are the turns that hold the answers. p50 is the median time of a query, write the mean time of an event: of the
    processor; of the wall clock for files, which work in a sandbox. stale: how often an old value comes before the
    present one in a stream of things that change.
    """
    from evolve.domains.memory.answers import drawn
    from evolve.domains.memory.bench import Sheet
    from evolve.domains.memory.rewrites import stream

    designs = [_design(word) for word in dict.fromkeys(architectures or _names())]
    exams = _exams(data, seed)
    if model:
        _check(model)
    sheet = Sheet(exams, stream(seed), drawn(exams, questions if model else 0, seed))
    rows = _rows(designs, sheet, seed, sandbox)
    told: dict[str, dict[str, Any]] = {row.name: {"failed": row.failed} if row.failed else row.scores for row in rows}
    if model:
        for row in rows:
            if not row.failed:
                told[row.name]["f1"] = _f1(model, sheet, row)
    if json:
        print_json(told)
    else:
        _print(told, {design.name: design.lines for design in designs}, sheet)
    raise typer.Exit(1 if all(row.failed for row in rows) else 0)


def _names() -> list[str]:
    from knowledge.design import seeds

    return list(seeds())


def _design(word: str) -> "Design":
    from evolve.cli.designs import named

    return named(word).design._replace(name=word)


def _exams(data: Path | None, seed: int) -> "list[Exam]":
    if data is not None:
        from evolve.domains.memory.locomo import read

        return read(data, seed=seed)
    from evolve.domains.memory.generated import conversations

    return conversations(seed, CONVERSATIONS)


def _check(model: str) -> None:
    from evolve.roles import OFFLINE, check_model

    if model == OFFLINE:
        raise UsageError("offline answers no questions; give --model PROVIDER/MODEL, or none and go without f1")
    check_model(model)


def _rows(designs: "Sequence[Design]", sheet: "Sheet", seed: int, sandbox: str) -> "list[Row]":
    """What is shipped is trusted; what is in a file goes into a sandbox."""
    from evolve.config import open_sandbox
    from evolve.domains.memory.bench import bench as benched
    from evolve.domains.memory.bench import confined
    from knowledge.design import seeds

    found: dict[str, Row] = {}

    def listen(row: "Row") -> None:
        found[row.name] = row
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{len(found)} of {len(designs)} architectures" + "\n" * (len(found) == len(designs)))
            sys.stderr.flush()

    trusted = [design for design in designs if design.name in seeds()]
    strangers = [design for design in designs if design.name not in seeds()]
    if trusted:
        benched(trusted, sheet, seed=seed, listen=listen)
    if strangers:
        with open_sandbox(sandbox) as opened:
            for design in strangers:
                listen(confined(design, sheet, opened))
    return [found[design.name] for design in designs]


def _f1(model: str, sheet: "Sheet", row: "Row") -> float:
    from agents.model import LiteLLM
    from evolve.domains.memory.answers import answered

    asked = [
        (exam.questions[place], context)
        for exam, drawn, judged in zip(sheet.exams, sheet.drawn, row.judged, strict=True)
        for place, context in zip(drawn, judged.recalled, strict=True)
    ]
    marks = answered(LiteLLM(model), asked)
    return sum(marks) / len(marks) if marks else 0.0


def _print(told: dict[str, dict[str, Any]], lines: dict[str, int], sheet: "Sheet") -> None:
    worked = {name: one for name, one in told.items() if "failed" not in one}
    best_first = sorted(worked, key=lambda name: -worked[name]["recall@10"])
    answered = any("f1" in one for one in worked.values())
    columns = (
        "architecture", "#recall@10", "#@5", "#by category", "#@512 tok.", "#@1024", "#@2048", "#tokens", "#p50 ms",
        "#write ms", "#stale", "#records", "#lines", *(["#f1"] if answered else []),
    )  # fmt: skip
    rows = [(name, *_cells(worked[name]), str(lines[name])) for name in best_first]
    if answered:
        rows = [(*row, _share(worked[row[0]].get("f1"))) for row in rows]
    questions = sum(len(exam.questions) for exam in sheet.exams)
    if rows:
        title = f"{many(len(sheet.exams), 'conversation')}, {many(questions, 'question')}"
        print_table(columns, rows, title=title)
    for name, one in told.items():
        if "failed" in one:
            sys.stdout.write(f"{name} failed: {plain(one['failed'])}\n")


def _cells(one: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"{_share(one['recall@10'])} ±{_share(one['se'])}",
        _share(one["recall@5"]),
        "/".join(f"{value:.2f}".removeprefix("0") for value in one["by_category"].values()),
        _share(one["grounded@512"]),
        _share(one["grounded@1024"]),
        _share(one["grounded@2048"]),
        f"{one['tokens']:.0f}",
        number(one["p50_ms"], 2),
        number(one["write_ms"], 2),
        _share(one["stale_rate"]),
        f"{one['records']:.0f}",
    )


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}".removeprefix("0")
