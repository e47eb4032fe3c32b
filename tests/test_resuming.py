"""A run that is given more: higher ceilings for what had come to its end."""

from pathlib import Path
from typing import Any

import pytest

from evolve.budget import Ceilings
from evolve.config import assemble, new_settings, runs_folder
from evolve.errors import StorageError, UsageError
from evolve.journal import Journal
from evolve.replay import replay
from evolve.run import EXTENDED, JOURNAL, Run, Settings
from evolve.summary import summarise
from tests.command import evolve

TOY = f"{Path(__file__).with_name('toy.py')}:Toy"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVOLVE_HOME", str(tmp_path))


def asked(domain: str = TOY, **ceilings: Any) -> Settings:
    return new_settings(
        tasks=["a"], tier=None, model="offline", ceilings=Ceilings(**ceilings), parallel=2, sandbox="process",
        kb="", embedding="", seed=1, hold_out=False, domains=[domain],
    )  # fmt: skip


def worked(settings: Settings, run: Run | None = None) -> Run:
    with assemble(settings, lambda _step: None, run) as (made, parts):
        made.execute(parts)
    return made


def judged(run: Run) -> int:
    journal = Journal.open(run.folder / JOURNAL)
    try:
        return journal.judged()
    finally:
        journal.close()


def status(run: Run) -> str:
    journal = Journal.open(run.folder / JOURNAL)
    try:
        return summarise(run, journal).status
    finally:
        journal.close()


def test_a_finished_run_goes_on_when_it_is_given_more_attempts() -> None:
    run = worked(asked(attempts=3))
    more = run.extended(Ceilings(attempts=7))
    assert worked(more.settings, more).settings.ceilings.attempts == 7
    assert judged(run) == 7
    assert Run.open(run.folder).settings.ceilings == Ceilings(attempts=7)


def test_what_held_until_then_is_noted_and_a_replay_refuses_what_was_decided_under_two_budgets() -> None:
    run = worked(asked(attempts=2))
    run.extended(Ceilings(attempts=4))
    journal = Journal.open(run.folder / JOURNAL)
    assert journal.facts(EXTENDED) == {f"{EXTENDED}2": Ceilings(attempts=2).model_dump_json()}
    journal.close()
    with pytest.raises(UsageError, match="never given more can be replayed"):
        replay(Run.open(run.folder))


def test_a_finished_run_that_was_given_more_is_not_complete_until_it_has_met_its_new_end() -> None:
    run = worked(asked(attempts=1))
    assert status(run) == "complete"
    more = run.extended(Ceilings(attempts=2))
    assert status(more) == "interrupted"
    assert status(worked(more.settings, more)) == "complete"


def test_a_ceiling_is_never_lowered_and_a_refusal_changes_nothing() -> None:
    run = worked(asked(attempts=3, minutes=5))
    for less in (Ceilings(attempts=2, minutes=5), Ceilings(attempts=3, minutes=1)):
        with pytest.raises(UsageError, match="is less than"):
            run.extended(less)
    assert Run.open(run.folder).settings == run.settings
    assert run.extended(run.settings.ceilings) is run


def test_what_another_gave_meanwhile_is_not_taken_back() -> None:
    run = worked(asked(attempts=1))
    stale = Run.open(run.folder)
    run.extended(Ceilings(attempts=9))
    with pytest.raises(UsageError, match="less than the 9"):
        stale.extended(Ceilings(attempts=5))


def test_a_run_that_is_being_worked_on_is_left_alone() -> None:
    run = worked(asked(attempts=1))
    with run.locked(), pytest.raises(UsageError, match="is being worked on"):
        run.extended(Ceilings(attempts=2))
    assert Run.open(run.folder).settings.ceilings.attempts == 1


def test_the_command_gives_more_and_refuses_less(tmp_path: Path) -> None:
    run = worked(asked(attempts=1)).settings.run
    less = evolve(tmp_path, "resume", run, "--attempts", "0")
    assert (less.returncode, less.stderr.count("\n")) == (2, 1)
    assert evolve(tmp_path, "resume", "last", "--attempts", "3", "--quiet").stdout.count("3 attempts in") == 1


def test_a_dry_run_tells_what_it_will_use_and_begins_nothing(tmp_path: Path) -> None:
    worked(asked(attempts=2))
    done = evolve(tmp_path, "run", "a", "--domain", TOY, "--sandbox", "process", "--attempts", "9", "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    assert "9 attempts; by 1 earlier run(s) of this kind" in done.stdout
    assert len(list((tmp_path / "runs").iterdir())) == 1


@pytest.mark.parametrize(
    ("asked_for", "sentence"),
    [
        (("--kb", "/dev/null/kb"), "/dev/null is no folder"),
        (("--embedding", "nosuch"), "unknown embedding 'nosuch'"),
    ],
)
def test_a_dry_run_finds_what_a_run_would_stumble_over_and_writes_nothing(
    tmp_path: Path, asked_for: tuple[str, str], sentence: str
) -> None:
    done = evolve(tmp_path, "run", "a", "--domain", TOY, "--sandbox", "process", "--dry-run", *asked_for)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert sentence in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_run_whose_folder_cannot_be_written_says_so() -> None:
    run = worked(asked(attempts=1))
    lost = Run(Path("/proc"), run.settings)  # where nobody can make a file
    with pytest.raises(StorageError, match="the run folder /proc cannot be written"), lost.locked():
        pass


def test_a_run_that_cannot_go_on_is_given_nothing(tmp_path: Path) -> None:
    domain = tmp_path / "toy.py"
    domain.write_text(Path(__file__).with_name("toy.py").read_text())
    run = worked(asked(attempts=1, domain=f"{domain}:Toy"))
    domain.unlink()
    more = run.settings.model_copy(update={"ceilings": Ceilings(attempts=2)})
    with pytest.raises(UsageError, match="is no domain"):
        worked(more, run)
    assert Run.open(run.folder).settings == run.settings
    assert status(run) == "complete"


def test_a_run_that_was_killed_before_it_had_a_journal_can_be_given_more() -> None:
    asked_for = asked(attempts=1)
    run = Run.create(runs_folder(), asked_for)
    more = worked(asked_for.model_copy(update={"ceilings": Ceilings(attempts=2)}), run)
    assert (judged(more), status(more)) == (2, "complete")


def test_a_run_of_a_comparison_keeps_the_budget_of_all(tmp_path: Path) -> None:
    run = Run.create(tmp_path, asked(attempts=1).model_copy(update={"run": "compare-20260101-000000-abcd-1-s1"}))
    with pytest.raises(UsageError, match="part of a comparison"):
        run.extended(Ceilings(attempts=2))
    assert run.extended(Ceilings(attempts=1)) is run


def test_a_damaged_journal_is_one_sentence_and_no_sign_of_an_empty_home(tmp_path: Path) -> None:
    run = worked(asked(attempts=1))
    journal = run.folder / JOURNAL
    journal.write_bytes(journal.read_bytes()[:9000])
    done = evolve(tmp_path, "runs")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (0, "", 1)
    assert "is damaged" in done.stderr
