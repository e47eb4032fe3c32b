"""Plain commands in every sandbox: what comes back, and what cannot be reached."""

import contextlib
import gc
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from evolve.errors import SandboxError, UsageError
from evolve.types import Execution, Job, Limits, Sandbox
from sandboxes import doctor, open_sandbox
from sandboxes.docker import Contained, DockerSandbox, connect, orphans
from sandboxes.locks import Turn
from sandboxes.pool import RECYCLE_AFTER, Pool, RefereeLostError, RefereeSlowError
from sandboxes.process import ProcessSandbox, bubblewrap
from tests.conftest import open_kind, require_docker

if TYPE_CHECKING:
    from docker import DockerClient

LIMITS = Limits(seconds=5, memory_mb=512, processes=32, output_kb=4)


def shell(sandbox: Sandbox, script: str, **files: str) -> Execution:
    return sandbox.run(Job(argv=("sh", "-c", script), files=files, limits=LIMITS))


def python(sandbox: Sandbox, script: str) -> Execution:
    return sandbox.run(Job(argv=("python3", "main.py"), files={"main.py": script}, limits=LIMITS))


def isolated(sandbox: Sandbox) -> bool:
    return sandbox.name != "process"


def test_output_exit_code_and_files_come_back_as_they_were(sandbox: Sandbox) -> None:
    files = {"in/data.txt": "hello\n"}
    job = Job(
        argv=("sh", "-c", "cat in/data.txt; cat; echo bad >&2; exit 3"), files=files, stdin="typed", limits=LIMITS
    )
    execution = sandbox.run(job)
    assert execution.exit_code == 3
    assert execution.stdout == "hello\ntyped"
    assert execution.stderr == "bad\n"
    assert execution.peak_memory_mb > 0


def test_a_command_that_is_not_there_is_the_candidates_failure(sandbox: Sandbox) -> None:
    execution = sandbox.run(Job(argv=("no-such-program",), limits=LIMITS))
    assert execution.exit_code == 127
    assert "no-such-program" in execution.stderr


def test_output_is_capped_and_the_rest_is_thrown_away(sandbox: Sandbox) -> None:
    execution = shell(sandbox, "head -c 3000000 /dev/zero | tr '\\0' x; echo end >&2")
    assert len(execution.stdout) == 4096
    assert execution.exit_code == 0


def test_no_environment_variable_of_the_host_is_seen(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_API_KEY", "sk-very-secret")
    with open_kind(sandbox.name) as fresh:
        script = "env; cat /proc/$PPID/environ 2>/dev/null; cat /proc/1/environ 2>/dev/null; cat /proc/[0-9]*/environ"
        execution = shell(fresh, script + " 2>/dev/null; true")
    assert "sk-very-secret" not in execution.stdout
    assert "PATH=" in execution.stdout


def test_an_infinite_loop_costs_its_limit_and_no_more(sandbox: Sandbox) -> None:
    limits = Limits(seconds=0.5)
    started = time.monotonic()
    execution = sandbox.run(Job(argv=("sh", "-c", "while :; do :; done"), limits=limits))
    assert execution.timed_out
    assert execution.exit_code is None
    assert time.monotonic() - started < 5
    assert shell(sandbox, "echo fine").stdout == "fine\n"


def test_a_fork_bomb_is_contained_and_the_next_job_runs(sandbox: Sandbox) -> None:
    bomb = "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass\n"
    limits = Limits(seconds=1, processes=32)
    execution = sandbox.run(Job(argv=("python3", "main.py"), files={"main.py": bomb}, limits=limits))
    assert execution.timed_out
    assert shell(sandbox, "echo fine").stdout == "fine\n"


def test_more_memory_than_the_limit_is_not_to_be_had(sandbox: Sandbox) -> None:
    execution = python(sandbox, "x = bytearray(4 * 2**30)\nprint(len(x))\n")
    assert execution.out_of_memory
    assert execution.exit_code != 0
    assert execution.stdout == ""


def test_a_crash_is_named_by_its_signal(sandbox: Sandbox) -> None:
    assert shell(sandbox, "kill -SEGV $$").killed == "SIGSEGV"


def test_processes_and_files_do_not_outlive_their_job(sandbox: Sandbox) -> None:
    script = "mkdir -p box/deep; touch box/deep/file; chmod 0 box/deep; (setsid sleep 987 &) ; echo $PWD"
    folder = shell(sandbox, script).stdout.strip()
    assert folder
    after = shell(sandbox, f"ls -d {folder}; cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert "sleep 987" not in after.stdout
    assert not after.stdout.startswith(folder)


def test_jobs_leave_no_messages_for_later_ones(sandbox: Sandbox) -> None:
    if not isolated(sandbox):
        pytest.skip("the warning of the plain process sandbox says so")
    shell(sandbox, "echo memo > /tmp/memo; mkdir /tmp/d; echo memo > /dev/shm/memo; true")
    assert shell(sandbox, "cat /tmp/memo /dev/shm/memo; ls -d /tmp/d").stdout == ""


LEAVING = """
import ctypes, os
libc = ctypes.CDLL(None)
print(libc.shmget(4242, 4096, 0o1666), libc.semget(4242, 1, 0o1666), libc.msgget(4242, 0o1666))
for place in ("/dev/mqueue", os.path.abspath("../..")):
    try:
        print("memo" in os.listdir(place))
        open(place + "/memo", "w")
    except OSError:
        pass
"""


def test_nor_do_they_leave_any_in_the_kernel_or_beside_their_folders(sandbox: Sandbox) -> None:
    if not isolated(sandbox) or (os.getuid() != 0 and sandbox.name != "docker"):
        pytest.skip("the warnings of these sandboxes say so")
    for _ in range(2):
        said = python(sandbox, LEAVING).stdout
        assert said.startswith("-1 -1 -1\n")
        assert "True" not in said


def test_an_interpreter_may_be_named_by_way_of_another_folder(tmp_path: Path) -> None:
    if bubblewrap():
        pytest.skip("without bubblewrap nothing is hidden")
    python = os.path.relpath(sys.executable, tmp_path)
    script = (
        "from evolve.types import Job\nfrom sandboxes.process import ProcessSandbox\n"
        "with ProcessSandbox(parallel=1) as opened:\n    print(opened.run(Job(argv=('echo', 'ran'))).stdout)"
    )
    done = subprocess.run([python, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "ran", done.stderr


def test_a_candidate_is_nobody_and_can_change_nothing(sandbox: Sandbox) -> None:
    if os.getuid() != 0 and sandbox.name != "docker":
        pytest.skip("without root the candidate is the same user, as the warning says")
    execution = shell(sandbox, "id -u; touch /usr/evil /etc/evil /evil; kill -9 $PPID; echo alive")
    assert int(execution.stdout.split()[0]) > 60000
    assert execution.stdout.split()[1:] == ["alive"]
    assert not any(Path(place).exists() for place in ("/usr/evil", "/etc/evil", "/evil"))


def test_there_is_no_network(sandbox: Sandbox) -> None:
    if not isolated(sandbox):
        pytest.skip("the warning of the plain process sandbox says so")
    script = "import socket\nsocket.create_connection(('198.51.100.1', 80), timeout=2)\n"
    execution = python(sandbox, script)
    assert execution.exit_code == 1
    assert "unreachable" in execution.stderr


def test_the_files_of_this_machine_are_not_there(sandbox: Sandbox, tmp_path: Path) -> None:
    if not isolated(sandbox):
        pytest.skip("the warning of the plain process sandbox says so")
    (tmp_path / "secret").write_text("secret")
    tmp_path.chmod(0o755)
    assert shell(sandbox, f"cat {tmp_path}/secret").stdout == ""


def test_a_file_name_that_leaves_the_folder_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxError, match="leaves the folder"):
        sandbox.run(Job(argv=("true",), files={"../evil": ""}))
    assert shell(sandbox, "echo fine").stdout == "fine\n"


def test_two_threads_share_a_sandbox(sandbox: Sandbox) -> None:
    seen: dict[int, str] = {}

    def work(number: int) -> None:
        seen[number] = shell(sandbox, f"sleep 0.05; echo {number}").stdout.strip()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {number: str(number) for number in range(5)}


def test_a_fresh_job_runs_where_none_has_been(sandbox: Sandbox) -> None:
    first = sandbox.run(Job(argv=("sh", "-c", "echo $PWD"), limits=LIMITS, fresh=True))
    assert first.stdout.strip().endswith("job1/candidate")


@pytest.mark.parametrize("kind", ["process", "process+bwrap"])
def test_closing_leaves_no_process_and_no_folder(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with open_kind(kind) as opened:
        shell(opened, "true")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("evolve-work")] == []
    assert subprocess.run(["pgrep", "-f", str(tmp_path)], check=False, capture_output=True).stdout == b""


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_killed_run_leaves_no_process_and_no_folder(tmp_path: Path, *, wrapped: bool) -> None:
    if wrapped and (missing := bubblewrap()):
        pytest.skip(missing)
    script = (
        "import sys; from sandboxes.process import ProcessSandbox; from evolve.types import Job\n"
        f"s = ProcessSandbox(wrapped={wrapped}); s.run(Job(argv=('true',))); print('ready', flush=True)\n"
        "s.run(Job(argv=('sleep', '4321')))"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    host = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment)
    assert host.stdout is not None
    host.stdout.readline()
    time.sleep(0.3)
    host.kill()
    host.communicate()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and (_running("sleep 4321") or list(tmp_path.glob("evolve-work-*"))):
        time.sleep(0.05)
    assert not _running("sleep 4321")
    assert not list(tmp_path.glob("evolve-work-*"))


def _running(command: str) -> bool:
    return subprocess.run(["pgrep", "-xf", command], check=False, capture_output=True).returncode == 0


def test_a_machine_without_a_compiler_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(SandboxError, match=r"apt-get install gcc.*--sandbox docker"):
        ProcessSandbox()


def test_an_unknown_kind_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="auto, docker, process"):
        open_sandbox("vm")


def test_auto_without_an_engine_is_the_process_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent.sock")
    with open_sandbox("auto") as opened:
        assert opened.name.startswith("process")
    assert {finding.name: finding.ok for finding in doctor()}["docker"] is False
    with pytest.raises(SandboxError, match="--sandbox process"):
        open_sandbox("docker")


def test_the_plain_process_sandbox_says_what_it_does_not_protect_from() -> None:
    with ProcessSandbox(wrapped=False) as opened:
        assert "network" in opened.warning


@pytest.mark.docker
def test_containers_go_with_their_sandbox_and_orphans_with_the_next_one() -> None:
    require_docker()
    script = (
        "import os, signal; from sandboxes.docker import DockerSandbox; from evolve.types import Job\n"
        "s = DockerSandbox(); s.run(Job(argv=('true',))); print(s._pool._idle[0][0]._container.name, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    client = connect()

    def names() -> set[str]:
        return {str(one.name) for one in client.containers.list(all=True, filters={"label": "evolve=sandbox"})}

    try:
        with DockerSandbox() as opened:
            assert killed.stdout.strip()
            assert killed.stdout.strip() not in names()
            assert not orphans(client)
            before = names()
            shell(opened, "true")
            (mine,) = names() - before
        assert mine not in names()
    finally:
        client.close()


@pytest.mark.docker
def test_a_container_has_every_restriction() -> None:
    require_docker()
    with DockerSandbox() as opened:
        shell(opened, "true")
        (mine, _), *_ = opened._pool._idle
        assert isinstance(mine, Contained)
        mine._container.reload()
        host = mine._container.attrs["HostConfig"]
    assert host["NetworkMode"] == "none"
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["PidsLimit"] > 0
    assert host["Memory"] == host["MemorySwap"] > 0
    assert not host["Binds"]


@pytest.mark.docker
def test_a_container_that_dies_under_a_job_is_replaced_and_the_job_repeated() -> None:
    require_docker()
    with DockerSandbox(parallel=1) as opened:
        shell(opened, "true")
        (victim, _), *_ = opened._pool._idle
        assert isinstance(victim, Contained)
        threading.Timer(0.5, victim._container.kill).start()
        assert shell(opened, "sleep 1; echo done").stdout == "done\n"


# ---- the pool, with referees that misbehave on purpose


class Scripted:
    """A referee that answers from a list; an exception there is raised."""

    def __init__(self, answers: list[dict[str, Any] | Exception]) -> None:
        self._answers = answers
        self.closed = False

    def send(self, message: dict[str, Any]) -> None:
        pass

    def receive(self, seconds: float) -> dict[str, Any]:
        del seconds
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        self.closed = True


FINE: dict[str, Any] = {"execution": {"exit_code": 0}}


def pool_of(*referees: Scripted) -> Pool:
    waiting = iter(referees)
    return Pool(lambda: next(waiting), parallel=1)


def test_a_referee_that_is_lost_once_is_replaced_and_the_job_repeated() -> None:
    first, second = Scripted([RefereeLostError("gone")]), Scripted([FINE])
    assert pool_of(first, second).run(Job(argv=("true",))).exit_code == 0
    assert first.closed


def test_a_job_that_destroys_two_referees_is_to_blame() -> None:
    pool = pool_of(Scripted([{"lost": "gone"}]), Scripted([RefereeLostError("gone again")]))
    execution = pool.run(Job(program="measure"))
    assert execution.killed == "SIGKILL"
    assert execution.reply["failure"]["reason"] == "killed"


def test_a_job_beyond_its_allowance_is_timed_out_and_its_referee_closed() -> None:
    slow = Scripted([RefereeSlowError()])
    execution = pool_of(slow).run(Job(argv=("true",)))
    assert execution.timed_out
    assert slow.closed


def test_a_defect_of_the_referee_is_no_fault_of_the_candidate() -> None:
    with pytest.raises(SandboxError, match="KeyError"):
        pool_of(Scripted([{"error": "KeyError: 'dims'"}])).run(Job(argv=("true",)))


def test_a_referee_is_recycled_after_many_jobs() -> None:
    tired, rested = Scripted([FINE] * RECYCLE_AFTER), Scripted([FINE])
    pool = pool_of(tired, rested)
    for _ in range(RECYCLE_AFTER):
        pool.run(Job(argv=("true",)))
    assert tired.closed
    pool.run(Job(argv=("true",)))
    pool.close()
    assert rested.closed


def test_who_measures_is_alone() -> None:
    order: list[str] = []
    with Turn() as mine, Turn() as other:
        mine.share()
        other.share()

        def measure() -> None:
            mine.take()
            order.append("measures")

        waiter = threading.Thread(target=measure)
        waiter.start()
        time.sleep(0.1)
        order.append("computes")
        other.give_up()
        waiter.join(5)
    assert order == ["computes", "measures"]


# ---- what breaks around the candidate


def test_a_full_disk_inside_is_the_candidates_own_and_gone_with_it(sandbox: Sandbox) -> None:
    if not isolated(sandbox):
        pytest.skip("the warning of the plain process sandbox says so")
    fill = "i=0; while head -c 100000000 /dev/zero > $i 2>/dev/null; do i=$((i+1)); done; echo full at $i >&2"
    execution = sandbox.run(Job(argv=("sh", "-c", fill), limits=Limits(seconds=30, memory_mb=512)))
    assert "full at" in execution.stderr
    assert shell(sandbox, "head -c 50000000 /dev/zero > x && echo fine").stdout == "fine\n"


class Relay:
    """Stands between us and the engine, until it falls silent."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "engine.sock"
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(self.path))
        self._server.listen()
        self._lines: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect("/var/run/docker.sock")
                self._lines += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def die(self) -> None:
        self.path.unlink()
        for line in (self._server, *self._lines):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()


@pytest.mark.docker
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the client leaks dead sockets
def test_an_engine_that_dies_under_a_job_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_docker()
    if os.environ.get("DOCKER_HOST"):
        pytest.skip("needs the engine of this machine at its usual address")
    client = connect()
    before = _ours(client)
    relay = Relay(tmp_path)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{relay.path}")
    with DockerSandbox(parallel=1) as opened:
        assert shell(opened, "echo fine").stdout == "fine\n"
        threading.Timer(0.5, relay.die).start()
        with pytest.raises(SandboxError, match=r"engine failed.*--sandbox process"):
            shell(opened, "sleep 3")
    with contextlib.closing(client):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and _ours(client) - before:
            time.sleep(0.2)
        assert not _ours(client) - before
    gc.collect()


def _ours(client: "DockerClient") -> set[str]:
    """Containers of this very process."""
    filters: dict[str, str | list[str] | bool] = {"label": ["evolve=sandbox", f"evolve.pid={os.getpid()}"]}
    return {str(one.name) for one in client.containers.list(filters=filters, ignore_removed=True)}


@pytest.mark.docker
def test_an_image_that_cannot_be_had_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    require_docker()
    monkeypatch.setenv("EVOLVE_SANDBOX_BASE", "localhost:1/no-such-image:1")
    with pytest.raises(SandboxError, match=r"no-such-image.*--sandbox process"):
        DockerSandbox()
