"""Two galleries: cheats that the judge refuses for the right reason, and unusual kernels that it accepts.

Every file says in its first lines what it is. A cheat goes past the static rules straight to the referee: the
isolation must hold by itself. `rule` is a word of the refusal when the static rules would have stopped it before,
`said` the words with which a sandbox that cannot refuse it warns of that.
`python -m tests.test_gallery` prints what refused each cheat in each kind of sandbox.
"""

import os
import re
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest

from evolve.domains import measuring
from evolve.domains.kernels import Kernels, catalogue, judge
from evolve.domains.kernels.rules import violations
from evolve.types import Candidate, Evaluation, Job, Limits, Sandbox
from sandboxes import Isolation
from tests.conftest import open_kind

FOLDER = Path(__file__).parent
PLACE = "/tmp/evolve-gallery"
"""Stands, in cheats that look for a file of the host, for a folder where everyone may read one."""

TASK = """
def inputs(draw, dims):
    return draw(dims["n"]), draw(dims["n"])

def reference(a, b, n):
    return a + b
"""
DENORMAL = """
DISTRIBUTIONS = {name: DISTRIBUTIONS[name] for name in ("normal", "wide")} | {
    "denormal": lambda rng, shape: (rng.standard_normal(shape) * 1e-40).astype(np.float32)
}
"""
SEED = """#include <stdint.h>
void kernel(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}
"""
SEEDS = {"baseline.c": SEED, "baseline.py": "def kernel(a, b, out, n):\n    out[...] = a + b\n"}
ACCEPTED = "accepted"


class Piece(NamedTuple):
    """A file of a gallery, with what its header says."""

    name: str
    source: str
    header: Mapping[str, str]

    def words(self, key: str) -> set[str]:
        return {word.strip() for word in self.header.get(key, "").split(",")} - {""}

    @property
    def uncovered(self) -> set[str]:
        """The kinds of sandbox that cannot refuse it."""
        return self.words("uncovered") | (self.words("uncovered without root") if os.getuid() else set())


def gallery(folder: str, suffix: str) -> dict[str, Piece]:
    pieces = {}
    for path in sorted((FOLDER / folder).glob(f"*{suffix}")):
        source = path.read_text()
        lines = re.findall(r"^(?://|#) ([a-z ]+): (.*)$", source[:1000], re.MULTILINE)
        pieces[path.name] = Piece(path.name, source, dict(lines))
    return pieces


C_CHEATS = gallery("cheats", ".c")
CHEATS = C_CHEATS | gallery("cheats", ".py")
HONEST = gallery("honest", ".c")


def request(target: str) -> dict[str, Any]:
    kinds = ("normal", "wide", "denormal")
    effort = measuring.Effort(sessions=3, samples=2, seconds=0.3)
    usual = judge.job(catalogue.entries()["relu"], SEED, effort, Limits(), fresh=False).request
    return {
        **usual,
        "target": target,
        "dims": ["n"],
        "flags": ["-O2", "-march=native", "-fopenmp"],
        "cases": [{"dims": {"n": n}, "distribution": kind} for n in (1, 7, 1000, 1024) for kind in kinds],
        "timed": {**usual["timed"], "dims": {"n": 4000}, "min_sample_us": 50},
        "report": False,
    }


def verdict(sandbox: Sandbox, piece: Piece, place: str) -> str:
    """`gate/reason` of the referee, past all static rules."""
    suffix = Path(piece.name).suffix
    trusted = {"task.py": TASK, "numerics.py": catalogue.numerics() + DENORMAL, **SEEDS}
    job = Job(
        program="measure",
        files={f"kernel{suffix}": piece.source.replace(PLACE, place)},
        trusted=trusted,
        request=request({".py": "python", ".c": "c"}[suffix]),
        limits=Limits(seconds=float(piece.header.get("seconds", 2)), memory_mb=512),
    )
    execution = sandbox.run(job)
    reply = dict(execution.reply)
    if not reply:
        return f"correct/{'timeout' if execution.timed_out else 'memory' if execution.out_of_memory else 'nothing'}"
    if "broken_task" in reply:
        return f"broken task: {reply['broken_task']}"
    failure = reply["failure"]
    return f"{failure['gate']}/{failure['reason']}" if failure else ACCEPTED


def verdicts(sandbox: Sandbox, pieces: Mapping[str, Piece] = CHEATS) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(2) as pool:
        Path(place).chmod(0o755)
        Path(place, "answer.h").write_text("#define ANSWER 1\n")
        found = pool.map(lambda piece: verdict(sandbox, piece, place), pieces.values())
        return dict(zip(pieces, found, strict=True))


def accept(sandbox: Sandbox, piece: Piece) -> str:
    """What the judge says against an honest kernel; nothing when it accepts. Timed at a small size."""
    entry = catalogue.entries()[piece.header["task"].removeprefix("kernels/")]
    refusal = judge.refused(piece.source)
    if refusal:
        return refusal.feedback
    effort = measuring.Effort(sessions=3, samples=2, seconds=0.3)
    whole = judge.job(entry, piece.source, effort, Limits(seconds=10, memory_mb=1024), fresh=False)
    timed = {**whole.request["timed"], "dims": dict(entry.spec.VISIBLE[0])}
    job = whole.model_copy(update={"request": {**whole.request, "timed": timed}})
    read = judge.read(entry, piece.source, sandbox.run(job))
    return read.feedback if isinstance(read, Evaluation) else ""


def complaints(sandbox: Sandbox) -> dict[str, str]:
    """What the judge says against honest kernels, twice: it draws its inputs, and fewer than one judgement in a hundred
    refuses what rounds in another order (strassen.c: some .7 % of screenings)."""

    def complaint(piece: Piece) -> str:
        return accept(sandbox, piece) and accept(sandbox, piece)

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(HONEST, pool.map(complaint, HONEST.values()), strict=True))


@pytest.fixture(scope="session")
def refusals(sandbox: Sandbox) -> tuple[str, dict[str, str]]:
    return sandbox.name, verdicts(sandbox)


@pytest.fixture(scope="session")
def welcome(sandbox: Sandbox) -> dict[str, str]:
    return complaints(sandbox)


# ---- cheats


@pytest.mark.parametrize("name", CHEATS)
def test_a_cheat_is_refused_for_the_right_reason(refusals: tuple[str, dict[str, str]], name: str) -> None:
    kind, found = refusals
    piece = CHEATS[name]
    expected = {ACCEPTED} if kind in piece.uncovered else piece.words("refused")
    assert found[name] in expected, piece.header["attack"]


def test_what_a_sandbox_does_not_cover_is_known_and_said(
    sandbox: Sandbox, refusals: tuple[str, dict[str, str]]
) -> None:
    kind, found = refusals
    got_through = {name for name, what in found.items() if what == ACCEPTED}
    assert got_through == {name for name, piece in CHEATS.items() if kind in piece.uncovered}
    for name in got_through:
        assert CHEATS[name].header.get("said", "") in cast("Isolation", sandbox).warning, name


@pytest.mark.parametrize("name", C_CHEATS)
def test_the_static_rules_stop_the_cheats_that_they_can_see(name: str) -> None:
    piece = C_CHEATS[name]
    words = "\n".join(violations(piece.source))
    assert bool(words) == ("rule" in piece.header), words
    assert piece.header.get("rule", "") in words


def test_the_domain_refuses_what_the_rules_see_before_anything_runs(process: Sandbox) -> None:
    task = catalogue.entries()["relu"].task("kernels")
    for piece in C_CHEATS.values():
        if "rule" in piece.header:
            refused = Kernels().evaluate(task, Candidate(files={"kernel.c": piece.source}), process)
            assert not refused.gates.authentic
            assert piece.header["rule"] in refused.feedback


def test_the_gallery_is_large_and_every_piece_has_its_label() -> None:
    assert len(C_CHEATS) >= 32
    assert len(CHEATS) - len(C_CHEATS) >= 10
    assert len(HONEST) >= 30
    for piece in CHEATS.values():
        assert re.match(r"[OTS]\d+ ", piece.header["attack"]), piece.name
        assert piece.words("refused"), piece.name
        assert piece.words("uncovered") <= {"process", "process+bwrap", "docker"}, piece.name
    assert all(piece.header["task"].startswith("kernels/") for piece in HONEST.values())


# ---- honest kernels


@pytest.mark.parametrize("name", HONEST)
def test_an_unusual_honest_kernel_is_accepted(welcome: dict[str, str], name: str) -> None:
    assert welcome[name] == ""


def table() -> str:
    """Markdown: what refused each cheat where."""
    kinds = ["process", "process+bwrap", "docker"]
    columns = []
    for kind in kinds:
        with open_kind(kind) as sandbox:
            columns.append(verdicts(sandbox))
    lines = [f"| cheat | attack | static rule | {' | '.join(kinds)} |", "|---" * (3 + len(kinds)) + "|"]
    for name, piece in CHEATS.items():
        cells = [name, piece.header["attack"], piece.header.get("rule", "–"), *(found[name] for found in columns)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())  # noqa: T201
