"""The command by which a run can be done again."""

import shlex
from collections.abc import Iterator, Mapping

from evolve.run import Settings


def command(settings: Settings) -> str:
    """Everything that was asked for, said outright, on one line for a shell."""
    return shlex.join(["evolve", "run", *settings.tasks, *_options(settings)])


def _options(settings: Settings) -> Iterator[str]:
    ceilings = settings.ceilings
    named = {
        "model": settings.model,
        "preset": settings.preset,
        "attempts": ceilings.attempts,
        "parallel": settings.parallel,
        "sandbox": settings.sandbox,
        "seed": settings.seed,
        "kb": settings.kb,
        "embedding": settings.embedding,
        "minutes": ceilings.minutes,
        "tokens": ceilings.tokens,
        "usd": ceilings.usd,
        "meta-every": settings.meta_every,
        "prompts": settings.prompts,
        "keys": settings.keys,
    }
    for name, value in named.items():
        if value or name == "seed":
            yield from (f"--{name}", str(value))
    if settings.hold_out:
        yield "--hold-out"
    if settings.inspect:
        yield "--inspect"
    for domain in settings.domains:
        yield from ("--domain", domain)
    yield from _told(settings.options)


def _told(options: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Every domain's options have the names of those of the command line; `shrink` is a switch."""
    for told in options.values():
        for name, value in told.items():
            if name == "shrink":
                yield "--shrink" if value == "yes" else "--no-shrink"
            elif value:
                yield from (f"--{name}", value)
