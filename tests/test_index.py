import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from evolve.errors import StorageError
from evolve.types import Experience
from knowledge.bank import Bank
from knowledge.embed import HashEmbedding, words
from knowledge.index import BATCH, Index

ROOT = Path(__file__).parent.parent
NAME = "draws"
DIMENSION = 24
READER = """
import sys
from pathlib import Path
from tests.test_index import NAME, fill, vector
from knowledge.bank import Bank
from knowledge.index import Index
folder, start, count, step = Path(sys.argv[1]), *map(int, sys.argv[2:])
bank = Bank(folder / "bank.sqlite")
index = Index(folder / "index", bank, NAME)
for i in range(start, start + count, step):
    fill(bank, i, step)
    assert index.nearest(vector(i), 1) == [f"e{i}"]
    print(i, flush=True)
"""


def vector(i: int) -> NDArray[np.float32]:
    """A direction of its own for each i, in numbers that the bank keeps exactly."""
    drawn = np.random.default_rng(i).normal(size=DIMENSION)
    return (drawn / np.linalg.norm(drawn)).astype(np.float16).astype(np.float32)


def fill(bank: Bank, start: int, count: int) -> None:
    with bank.transaction():
        for i in range(start, start + count):
            experience = Experience(id=f"e{i}", kind="trace", text=f"number {i}")
            bank.put(experience, keys="", content="", vector=vector(i), embedding=NAME, why="test")


def rebuilt(bank: Bank) -> int:
    return len(bank.database.rows("SELECT 1 FROM log WHERE what = 'index rebuilt'"))


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    bank = Bank(tmp_path / "bank.sqlite")
    yield bank
    bank.close()


@pytest.fixture
def index(tmp_path: Path, bank: Bank) -> Index:
    return Index(tmp_path / "index", bank, NAME)


def reader(folder: Path, start: int, count: int, step: int) -> "subprocess.Popen[str]":
    arguments = [sys.executable, "-c", READER, str(folder), *map(str, (start, count, step))]
    return subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def exact(count: int, query: NDArray[np.float32], n: int) -> list[str]:
    similar = [float(vector(i) @ query) for i in range(count)]
    return [f"e{i}" for i in sorted(range(count), key=lambda i: -similar[i])[:n]]


@pytest.mark.parametrize("count", [0, 1, BATCH - 1, BATCH, 3 * BATCH + 5])
def test_the_nearest_are_the_truly_nearest_in_the_collection_or_not(bank: Bank, index: Index, count: int) -> None:
    fill(bank, 0, count)
    assert index.nearest(vector(7), 10) == exact(count, vector(7), 10)


def test_what_was_just_written_is_found_and_what_changed_is_found_anew(bank: Bank, index: Index) -> None:
    fill(bank, 0, BATCH)
    index.nearest(vector(0), 1)
    fill(bank, 900, 1)
    assert index.nearest(vector(900), 1) == ["e900"]
    changed = Experience(id="e3", kind="trace", text="changed")
    bank.put(changed, keys="", content="", vector=vector(1234), embedding=NAME, why="test")
    assert index.nearest(vector(1234), 1) == ["e3"]


def test_a_deleted_index_changes_no_answer(tmp_path: Path, bank: Bank, index: Index) -> None:
    fill(bank, 0, 300)
    before = index.nearest(vector(5), 20)
    shutil.rmtree(tmp_path / "index")
    assert index.nearest(vector(5), 20) == before
    assert Index(tmp_path / "index", bank, NAME).nearest(vector(5), 20) == before


def _lose_vectors(folder: Path) -> None:
    for segment in folder.iterdir():
        if segment.is_dir():
            shutil.rmtree(segment)


def _garble_vectors(folder: Path) -> None:
    for file in folder.glob("*/*"):
        file.write_bytes(os.urandom(max(16, file.stat().st_size)))


def _garble_rows(folder: Path) -> None:
    (folder / "chroma.sqlite3").write_bytes(os.urandom(100_000))


def _lose_rows(folder: Path) -> None:
    (folder / "chroma.sqlite3").unlink()


def _garble_state(folder: Path) -> None:
    (folder / "state.json").write_text("[1")


@pytest.mark.parametrize("damage", [_lose_vectors, _garble_vectors, _garble_rows, _lose_rows, _garble_state])
def test_a_damaged_index_is_rebuilt_and_that_is_on_record(
    tmp_path: Path, bank: Bank, index: Index, damage: Callable[[Path], None]
) -> None:
    fill(bank, 0, 1100)  # beyond the thousand rows that chromadb keeps outside of its vector files
    before = index.nearest(vector(5), 20)
    index.close()
    damage(tmp_path / "index" / NAME)
    assert Index(tmp_path / "index", bank, NAME).nearest(vector(5), 20) == before
    assert rebuilt(bank) == 1


def test_an_index_of_another_bank_is_not_believed(tmp_path: Path, bank: Bank, index: Index) -> None:
    fill(bank, 0, BATCH)
    index.nearest(vector(0), 1)
    other = Bank(tmp_path / "other.sqlite")
    fill(other, 500, BATCH)
    assert Index(tmp_path / "index", other, NAME).nearest(vector(3), 200) != index.nearest(vector(3), 200)
    assert index.nearest(vector(3), 1) == ["e3"]
    other.close()


def test_two_indexes_in_one_process_see_each_others_writes(tmp_path: Path, bank: Bank, index: Index) -> None:
    second = Index(tmp_path / "index", bank, NAME)
    for turn in range(6):
        fill(bank, turn * BATCH, BATCH)
        writer, other = (index, second) if turn % 2 else (second, index)
        newest = turn * BATCH + 1
        assert writer.nearest(vector(newest), 1) == other.nearest(vector(newest), 1) == [f"e{newest}"]
    assert set(index.nearest(vector(2), 400)) == {f"e{i}" for i in range(6 * BATCH)}


def test_threads_share_one_index(bank: Bank, index: Index) -> None:
    def add_and_find(i: int) -> bool:
        fill(bank, i * 20, 20)
        return index.nearest(vector(i * 20 + 3), 1) == [f"e{i * 20 + 3}"]

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(add_and_find, range(16)))


def test_two_processes_write_and_search_at_once_and_both_find_everything(tmp_path: Path, bank: Bank) -> None:
    workers = [reader(tmp_path, start, 400, 40) for start in (0, 1000)]
    for process in workers:
        process.communicate()
        assert process.returncode == 0
    index = Index(tmp_path / "index", bank, NAME)
    assert set(index.nearest(vector(0), 1000)) == {f"e{i}" for i in (*range(400), *range(1000, 1400))}
    assert rebuilt(bank) == 0


@pytest.mark.parametrize("pause", [0.0, 0.02, 0.05])
def test_the_index_of_a_killed_process_heals(tmp_path: Path, bank: Bank, pause: float) -> None:
    process = reader(tmp_path, 0, 100_000, 100)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(pause)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    count = bank.count()
    index = Index(tmp_path / "index", bank, NAME)
    assert index.nearest(vector(3), 20) == exact(count, vector(3), 20)
    assert set(index.nearest(vector(3), count)) == {f"e{i}" for i in range(count)}


def test_where_no_index_can_be_written_a_sentence_says_so(tmp_path: Path, bank: Bank) -> None:
    (tmp_path / "index").write_text("in the way")
    fill(bank, 0, BATCH)
    with pytest.raises(StorageError, match="cannot write the index in"):
        Index(tmp_path / "index", bank, NAME).nearest(vector(0), 1)


def test_related_texts_are_nearer_than_unrelated_ones() -> None:
    embedding = HashEmbedding()
    query, near, far = embedding.embed(
        ["not_vectorized matmul loops", "vectorize the loops of a matrix product", "softmax of rows overflows"]
    )
    assert query @ near > query @ far + 0.1


def test_a_hash_embedding_is_the_same_in_every_process() -> None:
    code = "from knowledge.embed import HashEmbedding as E; print(E().embed(['tile the Loop ü']).tobytes().hex())"
    told = [
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert told[0] == told[1]


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_any_text_has_a_vector_of_length_one_or_none_at_all(texts: list[str]) -> None:
    lengths = np.linalg.norm(HashEmbedding(32).embed(texts), axis=1)
    assert all(abs(length - 1) < 1e-5 or length == 0 for length in lengths)


@given(st.text())
def test_splitting_into_words_is_stable(text: str) -> None:
    once = words(text)
    assert words(" ".join(once)) == once
