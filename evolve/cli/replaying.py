"""`evolve run --replay` and `evolve show --prompt`: a recorded run's decisions, and what was sent to models."""

import sys
from typing import TYPE_CHECKING

from evolve.cli.output import print_json
from evolve.errors import UsageError

if TYPE_CHECKING:
    from evolve.journal import Journal
    from evolve.replay import Replayed

SAME, DIFFERENT = 0, 1


def replayed(name: str, *, json: bool) -> int:
    """Run a recorded run again from its journal and say whether all came out the same; the exit code."""
    from evolve.config import find_run
    from evolve.replay import replay

    found = replay(find_run(name))
    if json:
        print_json(found.as_json())
    else:
        _print(found)
    return SAME if found.difference is None else DIFFERENT


def _print(found: "Replayed") -> None:
    if found.difference is None:
        sys.stdout.write(f"the same: {_count(found.attempts, 'attempt')}, {_count(found.calls, 'call')}\n")
        return
    sys.stdout.write(f"{found.difference}\n")
    for doubt in found.doubts:
        sys.stderr.write(f"a likely reason: {doubt}\n")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def show_prompts(journal: "Journal", attempt: int, *, json: bool = False) -> None:
    """Every prompt of an attempt, in the order of the answers, exactly as it was sent.

    A line before each message names the call, the role and how many bytes of UTF-8 follow.
    """
    plan = journal.numbered(attempt)
    prompts = [prompt for prompt, _ in journal.calls(plan.id)]
    if not prompts:
        raise UsageError(f"no call to a model is on record for attempt {attempt}: {_why_not(journal, plan.id)}")
    if json:
        print_json([prompt.model_dump(mode="json") for prompt in prompts])
        return
    out = sys.stdout.write
    for prompt in prompts:
        shape = ", in a given shape" if prompt.shape else ""
        out(f"=== {prompt.key}: at most {prompt.max_tokens} tokens, temperature {prompt.temperature:g}{shape}\n")
        for message in prompt.messages:
            out(f"--- {prompt.key} · {message.role} · {len(message.content.encode())} bytes\n{message.content}\n")


def _why_not(journal: "Journal", attempt: str) -> str:
    return "it was written without one" if journal.draft(attempt) else "it was not written yet"
