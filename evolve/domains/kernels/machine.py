"""What the machine can do at most: measured once in the sandbox, kept as JSON in the user's folder."""

import hashlib
import json
import os
import platform
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from evolve.domains.kernels.bottleneck import Roofline
from evolve.errors import SandboxError, StorageError
from evolve.home import home
from evolve.types import Frozen, Job, Limits, Sandbox

SECONDS = 1.0
"""For measuring the peaks."""
RETRIES = 2
"""Further measurements while another program disturbs them."""


class Bandwidth(Frozen):
    """GB/s over a working set of `mib`, with one thread and with all of them."""

    mib: float
    gbs_1t: float
    gbs: float


class Peaks(Frozen):
    flops_1t: float
    """GF/s of single-precision multiply-adds."""
    flops: float
    """With all threads."""
    bandwidth: tuple[Bandwidth, ...]
    cpu: str = ""
    fingerprint: str = ""

    def roofline(self, flops: int, bytes_moved: int) -> Roofline:
        """The time that so much work takes at the peaks, with the traffic at the bandwidth of its own working set."""
        level = self._level(bytes_moved)
        return Roofline(
            compute_ms=flops / max(self.flops, self.flops_1t) * 1e-6,
            memory_ms=bytes_moved / max(level.gbs, level.gbs_1t) * 1e-6,
        )

    def least_ms(self, flops: int, bytes_moved: int, threads: int) -> float:
        """No honest kernel is faster, were every thread as fast as one alone and all data in the next faster cache.

        The triad that was measured also writes; only reading may be twice as fast.
        """
        level = self._level(bytes_moved // 4)
        bandwidth = 2 * max(level.gbs, level.gbs_1t * threads)
        return max(flops / max(self.flops, self.flops_1t * threads), bytes_moved / bandwidth) * 1e-6

    def _level(self, working_set: int) -> Bandwidth:
        """The largest measured working set that is no larger than this one, in bytes."""
        smaller = [level for level in self.bandwidth if level.mib * 2**20 <= working_set] or [self.bandwidth[0]]
        return smaller[-1]

    @property
    def disturbed(self) -> bool:
        """All threads together were slower than one: something else was running."""
        return self.flops < 0.9 * self.flops_1t or any(level.gbs < 0.7 * level.gbs_1t for level in self.bandwidth)

    def best_of(self, other: "Peaks") -> "Peaks":
        """The higher of two measurements: noise only ever lowers one. `self` names the machine."""
        pairs = zip(self.bandwidth, other.bandwidth, strict=True)
        levels = (Bandwidth(mib=a.mib, gbs_1t=max(a.gbs_1t, b.gbs_1t), gbs=max(a.gbs, b.gbs)) for a, b in pairs)
        return self.model_copy(
            update={
                "flops_1t": max(self.flops_1t, other.flops_1t),
                "flops": max(self.flops, other.flops),
                "bandwidth": tuple(levels),
            }
        )


def peaks(sandbox: Sandbox, *, again: bool = False) -> Peaks:
    """Those kept for this machine and kind of sandbox, else measured now; `again`: measure anew and keep the better.

    What was kept from a disturbed measurement is measured anew, too.

    Raises SandboxError when they cannot be measured, StorageError when they cannot be kept.
    """
    path = home() / "machine" / f"{_identity(sandbox.name)}.json"
    kept = _read(path)
    if kept is not None and not again and not kept.disturbed:
        return kept
    found = _measure(sandbox)
    for _ in range(RETRIES):
        if found.disturbed:
            found = _measure(sandbox).best_of(found)
    if kept is not None and [level.mib for level in kept.bandwidth] == [level.mib for level in found.bandwidth]:
        found = found.best_of(kept)
    _write(path, found)
    return found


def _identity(sandbox: str) -> str:
    """Of the machine as it looks from here, so that it is known without starting anything."""
    try:
        cpu = next(
            line
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith(("model name", "CPU part"))
        )
    except (OSError, StopIteration):
        cpu = platform.processor()
    parts = [platform.machine(), cpu, str(os.cpu_count()), sandbox, os.environ.get("DOCKER_HOST", "")]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _measure(sandbox: Sandbox) -> Peaks:
    job = Job(program="peaks", request={"seconds": SECONDS, "threads": 0}, limits=Limits(seconds=60))
    execution = sandbox.run(job)
    try:
        found = Peaks.model_validate(_known(execution.reply))
    except ValidationError as error:
        raise SandboxError(f"the machine's peaks came back unusable: {error}; {execution.stderr[-500:]}") from error
    if not found.bandwidth or min(found.flops, found.bandwidth[0].gbs) <= 0:
        raise SandboxError(f"the machine's peaks came back as {execution.reply}")
    return found


def _known(reply: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in reply.items() if name in Peaks.model_fields}


def _read(path: Path) -> Peaks | None:
    """None when there is none; a damaged file is measured anew."""
    try:
        return Peaks.model_validate_json(path.read_text())
    except (OSError, ValidationError):
        return None


def _write(path: Path, found: Peaks) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".part", delete=False) as partial:
            json.dump(found.model_dump(), partial, indent=1)
        Path(partial.name).replace(path)
    except OSError as error:
        raise StorageError(f"cannot keep the machine's peaks in {path.parent}: {error}; set EVOLVE_HOME") from error
