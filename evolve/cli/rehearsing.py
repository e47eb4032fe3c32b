"""`evolve run --dry-run`: what would be done, in what, and what it will use; nothing is begun and nothing paid."""

import sys
from typing import TYPE_CHECKING

from evolve.cli.output import print_json

if TYPE_CHECKING:
    from evolve.estimate import Estimate, Range
    from evolve.parts import Step
    from evolve.run import Settings

MINUTE = 60.0


def rehearsed(settings: "Settings", *, json: bool) -> int:
    """Exit code 0. Raises UsageError with what stands in the run's way."""
    from evolve.config import all_runs, rehearse
    from evolve.estimate import estimate, similar

    sandbox = rehearse(settings, _tell)
    told = estimate(settings.ceilings, len(settings.tasks), similar(settings, all_runs()))
    if json:
        print_json({"tasks": list(settings.tasks), "sandbox": sandbox, **_as_json(told)})
        return 0
    sys.stdout.write(
        f"would run: {len(settings.tasks)} task(s), {settings.ceilings.attempts} attempts each, {settings.preset} by "
        f"{settings.model}, sandbox {sandbox}, knowledge base {settings.kb}\n{''.join(_lines(told))}"
    )
    return 0


def _tell(step: "Step") -> None:
    sys.stderr.write(f"{step.text}\n")


def _as_json(told: "Estimate") -> dict[str, object]:
    ranges = {"seconds": told.seconds, "tokens": told.tokens, "usd": told.usd}
    spans = {name: span._asdict() if span else None for name, span in ranges.items()}
    return {"attempts": told.attempts, "earlier_runs": told.runs, **spans, "ends": told.ends}


def _lines(told: "Estimate") -> list[str]:
    if told.seconds is None or told.tokens is None:
        return [f"{told.attempts} attempts; no earlier run of this kind tells what one uses\n"]
    lines = [
        f"{told.attempts} attempts; by {told.runs} earlier run(s) of this kind:\n",
        f"  minutes  {_span(told.seconds, 1 / MINUTE, 1)}\n",
    ]
    if told.tokens.high:
        dollars = _span(told.usd, 1, 2) if told.usd else "unknown, for want of a price"
        lines += [f"  tokens   {_span(told.tokens, 1, 0)}\n", f"  dollars  {dollars}\n"]
    return [*lines, f"{told.ends}\n"] if told.ends else lines


def _span(span: "Range", scale: float, digits: int) -> str:
    usual, low, high = (f"{value * scale:,.{digits}f}" for value in span)
    return usual if low == high else f"{usual} ({low} to {high})"
