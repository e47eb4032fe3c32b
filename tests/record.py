"""Records the cassettes of the tests: a tiny evolution by a model, `python -m tests.record [NAME]`.

Which provider is asked follows from OPENAI_API_BASE and OPENAI_API_KEY, which model from EVOLVE_RECORD_MODEL. Verdicts
come from the compiler alone, so that what is asked does not depend on this machine.
"""

import os
import socket
import sys
import tempfile
from pathlib import Path

from evolve.budget import Ceilings, MeteredModel
from evolve.cassette import Call, write_calls
from evolve.config import assemble, new_settings
from evolve.errors import EvolveError
from evolve.journal import Journal
from evolve.parts import Parts
from evolve.roles import Roles
from evolve.run import JOURNAL, Run, Settings
from evolve.types import Completion, Model, Prompt

FOLDER = Path(__file__).with_name("cassettes")
COMMAND = "OPENAI_API_BASE=http://… OPENAI_API_KEY=… python -m tests.record"
NAME, MODEL = "kernels", "openai/qwen2.5-coder-1.5b"
DOMAIN = f"{Path(__file__).with_name('quick.py')}:Compiled"
TASKS, ATTEMPTS, MOST_TOKENS = ("relu", "saxpy"), 3, 320
PATIENCE = 1800.0
"""Seconds for one reply: a model on a busy machine takes its time."""


class Terse:
    """Lets a model say no more than so many tokens, whatever it is asked for."""

    def __init__(self, model: Model) -> None:
        self._model = model

    @property
    def name(self) -> str:
        return self._model.name

    def complete(self, prompt: Prompt) -> Completion:
        return self._model.complete(prompt.model_copy(update={"max_tokens": MOST_TOKENS}))


class Played(Roles):
    """Every role of a run, with this model behind it."""

    def __init__(self, settings: Settings, parts: Parts, model: Model) -> None:
        self._played = model
        super().__init__(settings, parts.domains, parts.journal, parts.budget, parts.listen)

    def _model(self, name: str) -> MeteredModel:
        del name
        return MeteredModel(self._played, self._journal, self._budget)


def evolved(model: Model, name: str = NAME) -> Run:
    """A run in EVOLVE_HOME by this model; the same replies make the same run."""
    settings = new_settings(
        tasks=list(TASKS), tier=None, model=MODEL, ceilings=Ceilings(attempts=ATTEMPTS), parallel=1, sandbox="process",
        kb="", embedding="", seed=1, hold_out=False, domains=[DOMAIN],
    ).model_copy(update={"run": name})  # fmt: skip
    with assemble(settings, lambda _: None) as (run, parts):
        roles = Played(settings, parts, model)
        run.execute(parts._replace(writer=roles.writer(), curator=roles.curator()))
    return run


def calls_of(run: Run) -> list[Call]:
    journal = Journal.open(run.folder / JOURNAL)
    found = [Call(prompt=prompt, completion=completion) for prompt, completion in journal.all_calls()]
    journal.close()
    return found


def give_aways(text: str) -> list[str]:
    """What a cassette must not hold: names and places of the machine that recorded it."""
    known = {socket.gethostname(), str(Path.home()), tempfile.gettempdir(), os.environ.get("OPENAI_API_BASE", "")}
    return [word for word in sorted(known | {"127.0.0.1"}) if len(word) > 1 and word in text]


def main(name: str) -> None:
    from agents.model import LiteLLM

    with tempfile.TemporaryDirectory() as place:
        os.environ["EVOLVE_HOME"] = place
        model = LiteLLM(os.environ.get("EVOLVE_RECORD_MODEL", MODEL), timeout=PATIENCE, idle=PATIENCE)
        calls = calls_of(evolved(Terse(model), name))
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.jsonl"
    write_calls(path, calls)
    if found := give_aways(path.read_text()):
        path.unlink()
        sys.exit(f"nothing was kept: the calls name {', '.join(found)}")
    tokens = sum(call.completion.cost.completion_tokens for call in calls)
    sys.stdout.write(f"{path}: {len(calls)} calls, {tokens} tokens written\n")


if __name__ == "__main__":
    try:
        main(sys.argv[1] if sys.argv[1:] else NAME)
    except EvolveError as error:
        sys.exit(f"record: {error}")
