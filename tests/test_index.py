import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import chromadb
import numpy as np
import pytest
from chromadb.api.client import Client
from chromadb.api.models.Collection import Collection
from chromadb.config import Settings
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from evolve.errors import StorageError, UsageError
from evolve.types import Experience
from knowledge.bank import EXPIRED, Bank, Held, keyed
from knowledge.embed import HashEmbedding, words
from knowledge.index import BATCH, Index, open_index
from knowledge.served import sessions

ROOT = Path(__file__).parent.parent
NAME = "draws"
DIMENSION = 24
READER = """
import sys
from pathlib import Path
from tests.test_index import fill, opened, vector
from knowledge.bank import Bank
folder, start, count, step = Path(sys.argv[1]), *map(int, sys.argv[2:])
bank = Bank(folder / "bank.sqlite")
index = opened(folder, bank)
for i in range(start, start + count, step):
    fill(bank, i, step)
    assert index.nearest(vector(i), 1) == [f"e{i}"]
    print(i, flush=True)
"""


def vector(i: int) -> NDArray[np.float32]:
    """A direction of its own for each i, in numbers that the bank keeps exactly."""
    drawn = np.random.default_rng(i).normal(size=DIMENSION)
    return (drawn / np.linalg.norm(drawn)).astype(np.float16).astype(np.float32)


class Draws:
    """An embedding that nobody asks: the tests write the vectors."""

    def __init__(self, name: str = NAME) -> None:
        self.id = name
        self.dimension = DIMENSION

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        raise NotImplementedError


def put(bank: Bank, name: str, i: int) -> None:
    """Let the record `name` be found by `vector(i)`."""
    with bank.transaction():
        bank.vectors.put(keyed(f"number {i}"), NAME, vector(i))
        bank.put(Held(experience=Experience(id=name, kind="trace", text=""), keys=f"number {i}"), why="test")


def fill(bank: Bank, start: int, count: int) -> None:
    with bank.transaction():
        for i in range(start, start + count):
            put(bank, f"e{i}", i)


def opened(folder: Path, bank: Bank, **options: str) -> Index:
    return open_index(folder / "index", bank, Draws(), exact=BATCH, **options)


def rebuilt(bank: Bank) -> int:
    return len(bank.database.rows("SELECT 1 FROM log WHERE what = 'index rebuilt'"))


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    bank = Bank(tmp_path / "bank.sqlite")
    yield bank
    bank.close()


@pytest.fixture
def index(tmp_path: Path, bank: Bank) -> Index:
    return opened(tmp_path, bank)


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
    put(bank, "e3", 1234)
    assert index.nearest(vector(1234), 1) == ["e3"]


def test_a_deleted_index_changes_no_answer(tmp_path: Path, bank: Bank, index: Index) -> None:
    fill(bank, 0, 300)
    before = index.nearest(vector(5), 20)
    shutil.rmtree(tmp_path / "index")
    assert index.nearest(vector(5), 20) == before
    assert opened(tmp_path, bank).nearest(vector(5), 20) == before


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
    assert opened(tmp_path, bank).nearest(vector(5), 20) == before
    assert rebuilt(bank) == 1


def test_an_index_of_another_bank_is_not_believed(tmp_path: Path, bank: Bank, index: Index) -> None:
    fill(bank, 0, BATCH)
    index.nearest(vector(0), 1)
    other = Bank(tmp_path / "other.sqlite")
    fill(other, 500, BATCH)
    assert opened(tmp_path, other).nearest(vector(3), 200) != index.nearest(vector(3), 200)
    assert index.nearest(vector(3), 1) == ["e3"]
    other.close()


def test_two_indexes_in_one_process_see_each_others_writes(tmp_path: Path, bank: Bank, index: Index) -> None:
    second = opened(tmp_path, bank)
    for turn in range(6):
        fill(bank, turn * BATCH, BATCH)
        writer, other = (index, second) if turn % 2 else (second, index)
        newest = turn * BATCH + 1
        assert writer.nearest(vector(newest), 1) == other.nearest(vector(newest), 1) == [f"e{newest}"]
    assert set(index.nearest(vector(2), 6 * BATCH)) == {f"e{i}" for i in range(6 * BATCH)}


def test_threads_share_one_index(bank: Bank, index: Index) -> None:
    def add_and_find(i: int) -> bool:
        fill(bank, i * 20, 20)
        return index.nearest(vector(i * 20 + 3), 1) == [f"e{i * 20 + 3}"]

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(add_and_find, range(16)))


def test_two_processes_write_and_search_at_once_and_both_find_everything(tmp_path: Path, bank: Bank) -> None:
    workers = [reader(tmp_path, start, 600, 60) for start in (0, 1000)]
    for process in workers:
        process.communicate()
        assert process.returncode == 0
    index = opened(tmp_path, bank)
    assert set(index.nearest(vector(0), 1200)) == {f"e{i}" for i in (*range(600), *range(1000, 1600))}
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
    index = opened(tmp_path, bank)
    assert index.nearest(vector(3), 20) == exact(count, vector(3), 20)
    assert set(index.nearest(vector(3), count)) == {f"e{i}" for i in range(count)}


def test_where_no_index_can_be_written_a_sentence_says_so(tmp_path: Path, bank: Bank) -> None:
    (tmp_path / "index").write_text("in the way")
    fill(bank, 0, BATCH)
    with pytest.raises(StorageError, match="cannot write the index in"):
        opened(tmp_path, bank).nearest(vector(0), 1)


def test_what_is_hidden_is_not_found_and_what_comes_back_is(bank: Bank, index: Index) -> None:
    fill(bank, 0, BATCH)
    index.nearest(vector(0), 1)
    bank.set_status("e3", EXPIRED, what="expire", why="test")
    assert index.nearest(vector(3), 1) != ["e3"]
    fill(bank, BATCH, BATCH)  # the hidden one leaves the collection with them
    assert index.nearest(vector(3), 1) != ["e3"]
    put(bank, "e3", 3)
    assert index.nearest(vector(3), 1) == ["e3"]
    assert len(index.nearest(vector(3), 3 * BATCH)) == 2 * BATCH


def test_a_search_is_not_cut_short_by_changed_records(bank: Bank, index: Index) -> None:
    fill(bank, 0, 3 * BATCH)
    near = index.nearest(vector(7), 200)
    for name in near[:150]:
        bank.set_status(name, EXPIRED, what="expire", why="test")
    assert index.nearest(vector(7), 50)[:50] == near[150:]
    assert len(index.nearest(vector(7), 200)) == 200


def test_which_of_equals_come_first_is_the_same_before_and_after_a_rebuild(bank: Bank, index: Index) -> None:
    with bank.transaction():
        for i in range(BATCH):
            put(bank, f"twin{i:03}", i % 64)
    before = index.nearest(vector(5), 3)
    assert before == ["twin005", "twin069", "twin133"]
    index.discard()
    assert index.nearest(vector(5), 3) == before


def test_an_index_of_an_older_embedding_is_made_again(tmp_path: Path, bank: Bank, index: Index) -> None:
    fill(bank, 0, BATCH)
    index.nearest(vector(0), 1)
    assert opened(tmp_path, bank, fingerprint="other weights").nearest(vector(5), 1) == ["e5"]
    [why] = bank.database.rows("SELECT why FROM log WHERE what = 'index rebuilt'")
    assert "another fingerprint" in why[0]


def test_an_index_is_not_believed_by_a_copy_of_its_bank_that_went_another_way(
    tmp_path: Path, bank: Bank, index: Index
) -> None:
    fill(bank, 0, 10)
    bank.database.run("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(tmp_path / "bank.sqlite", tmp_path / "copy.sqlite")
    fill(bank, 10, 2 * BATCH)
    index.nearest(vector(0), 1)
    copy = Bank(tmp_path / "copy.sqlite")
    fill(copy, 5000, 3 * BATCH)
    found = opened(tmp_path, copy).nearest(vector(5000), 4 * BATCH)
    assert found[0] == "e5000"
    assert set(found) == {f"e{i}" for i in (*range(10), *range(5000, 5000 + 3 * BATCH))}
    copy.close()


def test_vectors_of_any_length_and_without_length_are_found(bank: Bank, index: Index) -> None:
    with bank.transaction():
        for i in range(BATCH):
            put(bank, f"e{i}", i)
        bank.vectors.put(keyed("number 9"), NAME, 0 * vector(9))
    assert index.nearest(vector(3), 1) == ["e3"]
    assert len(index.nearest(0 * vector(3), 2 * BATCH)) == BATCH


@pytest.mark.parametrize("name", ["litellm:openai/text-embedding-3-small", "../../up", "ü"])
def test_an_embedding_of_any_name_has_a_folder_of_its_own(tmp_path: Path, bank: Bank, name: str) -> None:
    with bank.transaction():
        for i in range(BATCH):
            put(bank, f"e{i}", i)
            bank.vectors.put(keyed(f"number {i}"), name, vector(i))
    assert open_index(tmp_path / "index", bank, Draws(name), exact=BATCH).nearest(vector(4), 1) == ["e4"]
    assert len(list((tmp_path / "index").iterdir())) == 1


# -- a chroma server


class Server:
    """`chroma run` in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        program = Path(sys.executable).with_name("chroma")
        if not program.exists():
            pytest.skip(f"{program} is not there")
        said = self.folder.with_suffix(".log")
        with said.open("wb") as out:  # a pipe that nobody reads would stop it
            self._process = subprocess.Popen(
                [program, "run", "--path", str(self.folder), "--host", "127.0.0.1", "--port", str(self.port)],
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        for _ in range(300):
            with socket.socket() as asked:
                if asked.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self._process.poll() is not None:
                break
            time.sleep(0.1)
        self.stop()
        pytest.skip(f"chroma run does not start: {said.read_text()[-300:]}")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("chroma"))
    yield server
    server.stop()


@pytest.fixture
def serve(tmp_path: Path, server: Server) -> Iterator[Callable[..., Index]]:
    """Opens indexes on the server, and closes them after the test."""
    with ExitStack() as stack:

        def serve(bank: Bank, embedding: str = NAME) -> Index:
            index = open_index(tmp_path / "index", bank, Draws(embedding), server=server.address)
            stack.callback(index.close)
            return index

        yield serve


@pytest.fixture
def served(bank: Bank, serve: Callable[..., Index]) -> Index:
    return serve(bank)


@contextmanager
def collections(server: Server, bank: Bank) -> Iterator[list[Collection]]:
    """Of one bank, as anybody else sees them."""
    client = chromadb.HttpClient("127.0.0.1", server.port, settings=Settings(anonymized_telemetry=False))
    assert isinstance(client, Client)
    yield [found for found in client.list_collections() if bank.id in found.name]
    for session in sessions(client):
        session.close()
    client.close()


@pytest.mark.parametrize("count", [0, 1, BATCH, 2 * BATCH + 5])
def test_a_server_finds_what_a_folder_finds(bank: Bank, index: Index, served: Index, count: int) -> None:
    fill(bank, 0, count)
    assert served.nearest(vector(7), 10) == index.nearest(vector(7), 10) == exact(count, vector(7), 10)
    assert rebuilt(bank) == 0


def test_a_server_holds_what_changed_and_forgets_what_is_hidden(bank: Bank, served: Index) -> None:
    fill(bank, 0, BATCH)
    served.nearest(vector(0), 1)
    bank.set_status("e3", EXPIRED, what="expire", why="test")
    put(bank, "e4", 900)
    fill(bank, BATCH, BATCH)
    assert "e3" not in served.nearest(vector(3), 3)
    assert served.nearest(vector(900), 1) == ["e4"]
    assert len(served.nearest(vector(3), 3 * BATCH)) == 2 * BATCH - 1


def test_a_collection_that_was_lost_is_written_again(
    bank: Bank, served: Index, server: Server, serve: Callable[..., Index]
) -> None:
    fill(bank, 0, BATCH)
    before = served.nearest(vector(5), 20)
    with collections(server, bank) as [held]:
        assert held.count() == BATCH
    other = serve(bank)
    assert other.nearest(vector(5), 20) == before
    other.discard()
    with collections(server, bank) as none:
        assert none == []
    assert served.nearest(vector(5), 20) == before
    with collections(server, bank) as [held]:
        assert held.count() == BATCH


def test_a_collection_that_lost_rows_is_written_again_and_that_is_on_record(
    bank: Bank, served: Index, server: Server, serve: Callable[..., Index]
) -> None:
    fill(bank, 0, BATCH)
    before = served.nearest(vector(5), 20)
    with collections(server, bank) as [held]:
        held.delete(ids=[keyed("number 5"), keyed("number 6")])
    assert serve(bank).nearest(vector(5), 20) == before
    assert rebuilt(bank) == 1


def test_two_banks_and_two_embeddings_share_a_server_without_meeting(
    tmp_path: Path, bank: Bank, served: Index, serve: Callable[..., Index]
) -> None:
    fill(bank, 0, BATCH)
    assert served.nearest(vector(5), 1) == ["e5"]
    other = Bank(tmp_path / "other.sqlite")
    fill(other, 500, BATCH)
    assert serve(other).nearest(vector(505), 1) == ["e505"]
    assert served.nearest(vector(505), 1) != ["e505"]
    assert serve(bank, "second:embedding").nearest(vector(5), 1) == []
    assert served.nearest(vector(5), 1) == ["e5"]
    other.close()


def test_a_copy_of_a_bank_that_went_another_way_does_not_believe_the_collection(
    tmp_path: Path, bank: Bank, served: Index, serve: Callable[..., Index]
) -> None:
    fill(bank, 0, 10)
    bank.database.run("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(tmp_path / "bank.sqlite", tmp_path / "copy.sqlite")
    fill(bank, 10, 2 * BATCH)
    served.nearest(vector(0), 1)
    copy = Bank(tmp_path / "copy.sqlite")
    fill(copy, 5000, 3 * BATCH)
    found = serve(copy).nearest(vector(5000), 4 * BATCH)
    assert set(found) == {f"e{i}" for i in (*range(10), *range(5000, 5000 + 3 * BATCH))}
    copy.close()


def test_threads_share_a_server(bank: Bank, served: Index) -> None:
    def add_and_find(i: int) -> bool:
        fill(bank, i * 60, 60)
        return served.nearest(vector(i * 60 + 3), 1) == [f"e{i * 60 + 3}"]

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(add_and_find, range(12)))


def test_a_server_that_goes_away_is_named_and_found_again_when_it_is_back(tmp_path: Path, bank: Bank) -> None:
    server = Server(tmp_path / "chroma")
    served = opened(tmp_path, bank, server=server.address)
    fill(bank, 0, BATCH)
    assert served.nearest(vector(5), 1) == ["e5"]
    server.stop()
    with pytest.raises(UsageError, match=f"no chroma server answers at {server.address} "):
        served.nearest(vector(5), 1)
    server.start()
    assert served.nearest(vector(5), 1) == ["e5"]
    served.close()
    server.stop()
    assert bank.database.rows("SELECT why FROM log WHERE what = 'index rebuilt'") == []


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("http://127.0.0.1:9", "no chroma server answers at http://127.0.0.1:9 .*chroma run --path"),
        ("127.0.0.1:8000", "is not the address of a chroma server; write http://HOST:PORT"),
        ("ftp://127.0.0.1:8000", "is not the address"),
        ("http://127.0.0.1:99999", "is not the address"),
        ("http://127.0.0.1:8000/kb", "is not the address"),
    ],
)
def test_an_address_where_nobody_answers_is_refused_when_it_is_opened(
    tmp_path: Path, bank: Bank, address: str, sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        opened(tmp_path, bank, server=address)


# -- the embedding without a model


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


def test_many_records_of_one_text_are_all_found_and_hide_no_other(bank: Bank, tmp_path: Path) -> None:
    index = opened(tmp_path, bank)
    with bank.transaction():
        for i in range(2 * BATCH):
            put(bank, f"same{i}", 1)
        fill(bank, 1000, BATCH)
    assert len(index.nearest(vector(1), 2 * BATCH)) == 2 * BATCH
    assert index.nearest(vector(1000), 1) == ["e1000"]
    assert len(index.nearest(vector(1), 5 * BATCH)) == 3 * BATCH
