"""`evolve kb search`, `show`, `why`, `stats`: what is known, and why it is believed."""

import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from evolve.cli.kb import options
from evolve.cli.kb.telling import in_line, many, moment, table
from evolve.cli.options import Json
from evolve.cli.output import number, plain, print_json
from evolve.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from knowledge.library import Filters, Found
    from knowledge.reasons import Reasons
    from knowledge.upkeep import Upkeep

STAGES = ("draft", "refine")
"""Told of every experience, credited there or not."""
SHOWN_SOURCES = 6


def register(app: typer.Typer) -> None:
    for command in (search, show, why, stats):
        app.command()(command)


def search(
    query: Annotated[str, typer.Argument(help="Words; similar meaning counts too.")] = "",
    k: Annotated[int, typer.Option("-k", min=1, help="How many.")] = 10,
    why: Annotated[bool, typer.Option("--why", help="Say why each was found.")] = False,
    task: options.Task = "",
    domain: options.Domain = "",
    stage: options.Stage = "",
    kind: options.Kind = "",
    state: options.State = "",
    status: options.Status = "active",
    older: options.Older = "",
    newer: options.Newer = "",
    kb: options.Base = "",
    json: Json = False,
) -> None:
    """Find experiences by words and meaning. Best match first; of another status than active, the latest."""
    if not query.strip() and status == "active":
        raise UsageError('say what to look for: evolve kb search "tile matmul for the cache"')
    with options.opened(kb) as memory:
        where = options.filters(
            memory, task=task, domain=domain, stage=stage, kind=kind, state=state, status=status, older=older,
            newer=newer,
        )  # fmt: skip
        found = memory.search(query, k=k, where=where)
        nothing = "" if found else _nothing(memory, where)
    if json:
        print_json([_hit(hit, why=why) for hit in found])
    elif nothing:
        sys.stdout.write(f"{nothing}\n")
    else:
        _print_hits(found, why=why, hidden=status != "active")


def _nothing(memory: "Upkeep", where: "Filters") -> str:
    """Why nothing was found."""
    stats = memory.stats()
    if not stats.experiences and not stats.hidden:
        return f"{memory.folder} holds nothing yet; `evolve run` fills it, `evolve kb import` takes from another"
    if where.task and where.task not in stats.tasks:
        return f"nothing was learnt on {where.task}; there is something on {', '.join(stats.tasks) or 'no task'}"
    if where.status != "active" and where.status not in stats.hidden:
        return f"nothing is {where.status}; `evolve kb stats` says what is there"
    return "nothing fits; fewer filters find more, and `evolve kb stats` says what is there"


def _hit(hit: "Found", *, why: bool) -> dict[str, object]:
    return {
        "id": hit.experience.id,
        "kind": hit.experience.kind,
        "text": hit.experience.text,
        "task": hit.experience.task,
        "score": hit.score,
        "values": dict.fromkeys(STAGES, 0.0) | dict(hit.values),
        "uses": hit.uses,
        **({"why": hit.why} if why else {}),
    }


def _print_hits(found: "Sequence[Found]", *, why: bool, hidden: bool) -> None:
    stages = list(dict.fromkeys([*STAGES, *(stage for hit in found for stage in hit.values)]))
    rows = [
        (
            hit.experience.id,
            hit.experience.kind,
            hit.experience.task or "–",
            "–" if hidden else f"{hit.score:.2f}",
            *(f"{hit.values[stage]:+.2f}" if stage in hit.values else "–" for stage in stages),
            str(hit.uses),
            in_line(hit.experience.text) + (f"\n↳ {in_line(hit.why)}" if why and hit.why else ""),
        )
        for hit in found
    ]
    table(("id", "kind", "task", "#match", *(f"#{stage}" for stage in stages), "#uses", "text"), rows)


def show(
    experience: Annotated[str, typer.Argument(metavar="ID", help="Id of an experience, or its beginning.")],
    kb: options.Base = "",
    json: Json = False,
) -> None:
    """Show one experience whole. Text, status, values, sources, links, versions, code."""
    with options.opened(kb) as memory:
        name = memory.named(experience)
        found, reasons = memory.show(name), memory.why(name)
        versions = memory.timeline.history(memory.subject_of(name))
    if json:
        print_json(
            found.experience.model_dump(mode="json")
            | {
                "values": dict(found.values),
                "uses": found.uses,
                "status": found.status,
                "links": [list(link) for link in reasons.links],
                "versions": [
                    {"seq": line.seq, "time": line.time, "what": line.what, "why": line.why} for line in versions
                ],
            }
        )
        return
    last = versions[0]
    item = found.experience
    out = sys.stdout.write
    out(f"{item.id}  {item.kind}  {item.task or item.domain}  {item.stage}".rstrip() + f"\n{plain(item.text)}\n\n")
    facts = {
        "status": found.status + (f" ({in_line(last.what)}: {in_line(last.why)})" if found.status != "active" else ""),
        "expires": "" if item.expires is None else moment(item.expires) + _when(item.expires),
        "values": ", ".join(f"{stage} {value:+.2f}" for stage, value in found.values.items()) or "none learnt yet",
        "recalled": many(found.uses, "time"),
        "technique": item.technique,
        "state met": item.state or "unknown",
        "measured": ", ".join(f"{name} {value:.3g}" for name, value in item.metrics.items()),
        "hardware": item.hardware,
        "recipe": " → ".join(item.recipe),
        "rests on": _sources(reasons),
        "links": "; ".join(f"{relation} {other}" for relation, other in reasons.links),
        "versions": f"{len(versions)}, the last {moment(last.time)}; `evolve kb history {item.id}` lists them",
    }
    for name, told in facts.items():
        if told:
            out(f"{name:<11}{in_line(told)}\n")
    if item.payload:
        out(f"\n{plain(item.payload).rstrip()}\n")


def _when(expires: float) -> str:
    days = (expires - time.time()) / 86400
    return f" (in {days:.0f} days)" if days >= 1 else " (within a day)" if days > 0 else " (past)"


def _sources(reasons: "Reasons") -> str:
    shown = ", ".join(reasons.sources[:SHOWN_SOURCES])
    more = len(reasons.sources) - SHOWN_SOURCES
    return f"{shown} and {more} more" if more > 0 else shown


def why(
    name: Annotated[
        str, typer.Argument(metavar="ATTEMPT|ID", help="RUN/NUMBER of an attempt (last/3), or an experience.")
    ],
    kb: options.Base = "",
    json: Json = False,
) -> None:
    """Tell why something was recalled or believed.

    Of an attempt: what it was given and how it went. Of an experience: what it rests on, whom it served, its changes.
    """
    with options.opened(kb) as memory:
        reasons = memory.why(_attempt(name) if "/" in name else memory.named(name))
    if json:
        print_json(reasons.model_dump(mode="json"))
    else:
        sys.stdout.writelines(f"{plain(line)}\n" for line in reasons.lines)


def _attempt(name: str) -> str:
    """With the whole id of its run, where that run is still there."""
    from evolve.config import find_run

    run, _, number = name.partition("/")
    with suppress(UsageError):
        run = find_run(run).settings.run
    return f"{run}/{number}"


def stats(kb: options.Base = "", json: Json = False) -> None:
    """Count what there is and what it cost."""
    with options.opened(kb) as memory:
        found = memory.stats()
    if json:
        print_json(found._asdict() | {"meter": {name: total._asdict() for name, total in found.meter.items()}})
        return
    kinds = ", ".join(f"{count} {kind}" for kind, count in found.experiences.items()) or "none yet"
    hidden = ", ".join(f"{count} {status}" for status, count in found.hidden.items())
    out = sys.stdout.write
    out(f"{found.folder} ({found.megabytes:.1f} MB, embedding {found.embedding})\n")
    out(f"experiences: {kinds}{f'; hidden: {hidden}' if hidden else ''}\n")
    out(f"recalls {found.recalls}, of them credited {found.credited}; learnt values {found.values}; ")
    out(f"events {found.events}; changes on record {found.changes}\n")
    if found.alarm:
        out(f"ALARM: {found.alarm}\n")
    if found.tasks:
        out("\n")
        table(("task", "#experiences"), [(task, str(count)) for task, count in found.tasks.items()])
    if found.meter:
        out("\n")
        rows = [
            (name, str(total.calls), number(total.milliseconds / total.calls), str(total.tokens), str(total.bytes))
            for name, total in found.meter.items()
        ]
        table(("operation", "#calls", "#ms a call", "#tokens", "#bytes"), rows)
