"""A knowledge base as it was at an earlier change, in a copy."""

from pathlib import Path
from random import Random

from evolve.types import Attempt, Candidate, Evaluation, Task
from knowledge.memory import Memory
from knowledge.past import as_it_was

TASK = Task(id="d/t", domain="d", prompt="make it fast")


def live(memory: Memory, run: str, position: int, text: str) -> list[str]:
    """One attempt's course; what was recalled for it."""
    name = f"{run}/{position}"
    recalled = memory.recall(attempt=name, task=TASK, stage="draft", state="", rng=Random(position))
    shown = [item.experience.id for item in recalled]
    candidate = Candidate(files={"x": text}, technique=f"step {text}")
    attempt = Attempt(
        id=name,
        task=TASK.id,
        position=position,
        candidate=candidate,
        evaluation=Evaluation(score=float(position)),
        gain=0.1,
    )
    memory.credit(attempt=name, stage="draft", reward=1.0)
    memory.absorb(task=TASK, attempt=attempt, parent=None)
    return shown


def test_what_is_recalled_in_the_copy_is_what_was_recalled_then(tmp_path: Path) -> None:
    with Memory.open(tmp_path / "kb") as memory:
        for position in range(1, 6):
            live(memory, "before", position, f"b{position}")
        change = memory.stats().changes
        then = [live(memory, "run", position, f"r{position}") for position in range(1, 6)]
        live(memory, "after", 1, "a1")
        events = memory.stats().events
    past = as_it_was(tmp_path / "kb", tmp_path / "copy", change, "run")
    assert past.doubts == ()
    with Memory.open(tmp_path / "copy") as copy:
        assert copy.stats().recalls == 5
        assert [live(copy, "run", position, f"r{position}") for position in range(1, 6)] == then
    with Memory.open(tmp_path / "kb") as memory:
        assert memory.stats().events == events


def test_changes_by_others_while_the_run_went_on_are_told(tmp_path: Path) -> None:
    with Memory.open(tmp_path / "kb") as memory:
        for position in (1, 2, 3):
            live(memory, "run", position, f"r{position}")
            live(memory, "other", position, f"o{position}")
    (doubt,) = as_it_was(tmp_path / "kb", tmp_path / "copy", 0, "run").doubts
    assert "changed by others while the run was going on (4 changes)" in doubt


def test_a_base_that_is_another_one_is_told(tmp_path: Path) -> None:
    assert "is gone" in as_it_was(tmp_path / "kb", tmp_path / "a", 3, "run").doubts[0]
    with Memory.open(tmp_path / "kb") as memory:
        live(memory, "other", 1, "o")
    assert "made anew since" in as_it_was(tmp_path / "kb", tmp_path / "b", 99, "run").doubts[0]
    assert "knows nothing of the run" in as_it_was(tmp_path / "kb", tmp_path / "c", 1, "run").doubts[0]


def test_a_base_searched_by_a_provider_is_said_to_be(tmp_path: Path) -> None:
    with Memory.open(tmp_path / "kb") as memory:
        live(memory, "run", 1, "r")
        memory._bank.note("embedding", "litellm:openai/some")
    assert as_it_was(tmp_path / "kb", tmp_path / "copy", 0, "run").asks_a_provider
