"""What judging costs beside compiling and computing, next to the ways that start something for each candidate.

python benchmarks/overhead.py [--jobs 100]

A warm job runs `true`: the time that starting `true` takes by itself is taken off. A timed call is an exchange with a
stopped candidate that does nothing: resumed, answered, stopped again.
"""

import argparse
import contextlib
import os
import statistics
import time
from collections.abc import Callable, Iterator

from evolve.domains import measuring
from evolve.domains.kernels import catalogue, judge
from evolve.types import Job, Limits, Sandbox
from sandboxes.docker import DockerSandbox, connect, engine_answers, image
from sandboxes.process import ProcessSandbox, bubblewrap


def timed(work: Callable[[], object], count: int) -> list[float]:
    """Milliseconds, in order of size; the first is not counted."""
    work()
    found = []
    for _ in range(count):
        started = time.perf_counter()
        work()
        found.append((time.perf_counter() - started) * 1e3)
    return sorted(found)


def show(what: str, times: list[float], less: float = 0.0) -> None:
    middle, low, high = statistics.median(times), times[len(times) // 10], times[9 * len(times) // 10]
    print(f"{what:44} {middle - less:8.2f} ms   p10 {low - less:.2f}   p90 {high - less:.2f}")


def start_alone() -> None:
    os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)


def handshake(sandbox: Sandbox) -> float:
    """Median microseconds of a timed call beside the kernel itself."""
    entry = catalogue.entries()["relu"]
    execution = sandbox.run(judge.job(entry, entry.seed, measuring.Effort(), Limits(), fresh=False, checked=False))
    return float(execution.reply["timing"]["empty_ns"]) / 1e3


def sandboxes() -> Iterator[Sandbox]:
    yield ProcessSandbox(wrapped=False, parallel=1)
    if not bubblewrap():
        yield ProcessSandbox(wrapped=True, parallel=1)
    if engine_answers():
        yield DockerSandbox(parallel=1)


def per_candidate(count: int) -> None:
    """The usual way: a container, or a command in one, for each candidate."""
    client = connect()
    with contextlib.closing(client):
        tag = image(client)
        container = client.containers.run(tag, ["sleep", "infinity"], detach=True, network_mode="none")
        try:
            show("docker exec true", timed(lambda: container.exec_run(["true"]), count))
        finally:
            container.remove(force=True)
        whole = timed(
            lambda: client.containers.run(tag, ["true"], remove=True, network_mode="none"), max(3, count // 10)
        )
        show("docker run true", whole)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100)
    count = parser.parse_args().jobs
    alone = timed(start_alone, count)
    show("starting `true` alone", alone)
    for sandbox in sandboxes():
        with sandbox:
            jobs = timed(lambda opened=sandbox: opened.run(Job(argv=("true",))), count)  # type: ignore[misc]
            show(f"warm job in {sandbox.name}, less `true` itself", jobs, statistics.median(alone))
            print(f"  a timed call in {sandbox.name}: {handshake(sandbox):.1f} us")
    if engine_answers():
        per_candidate(count)


if __name__ == "__main__":
    main()
