"""Our own programs beside the referee, in C: built once, from sources that no candidate can touch."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
READY = HERE / "bin"
"""Where an image has them built already."""
FLAGS: dict[str, tuple[str, ...]] = {
    "launch": ("-O2", "-static"),
    "runner": ("-O2", "-fopenmp"),
    "handshake": ("-O2", "-shared", "-fPIC"),
    "confine": ("-O2", "-shared", "-fPIC"),
    "profile_driver": ("-O2", "-fopenmp"),
    "mojo_runtime": ("-O2", "-c", "-fPIC", "-fopenmp"),
    "peaks": ("-O3", "-march=native", "-fopenmp"),
}
NATIVE = frozenset({"peaks"})
"""Built where they run, never into an image."""


def tool(name: str, cache: Path) -> Path:
    """The built program or library. Raises OSError when it cannot be built."""
    ready, kept = READY / name, cache / name
    if ready.exists():
        return ready
    if not kept.exists():
        _build(name, kept)
    return kept


def _build(name: str, kept: Path) -> None:
    with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
        built = Path(scratch) / name
        argv = ["gcc", *FLAGS[name], "-o", str(built), str(HERE / f"{name}.c"), "-ldl", "-lm"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"})
        if done.returncode:
            raise OSError(f"{name}.c does not build: {done.stderr[:500]}")
        built.chmod(0o755)
        shutil.move(built, kept)


def main(argv: Sequence[str]) -> None:
    """Build everything portable into a folder: `python3 -m referee.tools FOLDER`."""
    folder = Path(argv[1])
    folder.mkdir()
    for name in FLAGS.keys() - NATIVE:
        _build(name, folder / name)


if __name__ == "__main__":
    main(sys.argv)
