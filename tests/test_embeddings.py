"""Embeddings of a user's choice, against a provider on the loopback that speaks the OpenAI embeddings protocol."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from evolve.errors import ModelError, UsageError
from knowledge.embed import Embedding, HashEmbedding
from knowledge.embedding_models import agrees, open_embedding, probe
from knowledge.minilm import FILES as MINILM_FILES
from knowledge.minilm import MiniLM
from knowledge.provider_embedding import BATCH, LONGEST_TEXT, ProviderEmbedding

Behaviour = Callable[["_Handler"], None]

CACHE = Path.home() / ".cache" / "chroma" / "onnx_models" / "all-MiniLM-L6-v2"


class Provider(ThreadingHTTPServer):
    """Answers each request with the next behaviour; the last one repeats."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behaviours: list[Behaviour] = [embeds()]
        self.requests: list[dict[str, Any]] = []
        self.stopped = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that gave up is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: Provider

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))

    def do_GET(self) -> None:
        self._answer({})

    def _answer(self, request: dict[str, Any]) -> None:
        provider = self.server
        provider.requests.append(request)
        provider.behaviours[min(len(provider.requests), len(provider.behaviours)) - 1](self)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        pass

    def send(self, status: int, body: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"content-type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())


def vector(text: str, dimension: int = 8, seed: int = 0) -> list[float]:
    """Not of length 1, the same for the same text."""
    rng = np.random.default_rng([seed, *text.encode()])
    return [float(number) for number in 3 * rng.normal(size=dimension)]


def embeds(dimension: int = 8, *, seed: int = 0, noise: float = 0.0) -> Behaviour:
    def behaviour(handler: _Handler) -> None:
        texts = handler.server.requests[-1]["input"]
        data = [
            {"object": "embedding", "index": n, "embedding": [x * (1 + noise * (-1) ** k) for k, x in enumerate(row)]}
            for n, row in enumerate(vector(text, dimension, seed) for text in texts)
        ]
        answer = {"object": "list", "model": "tiny", "data": data[::-1], "usage": {"prompt_tokens": 1}}
        handler.send(200, json.dumps(answer))

    return behaviour


def answers(body: str) -> Behaviour:
    return lambda handler: handler.send(200, body)


def refuses(status: int, message: str, *, code: str = "", after: str = "") -> Behaviour:
    body = json.dumps({"error": {"message": message, "type": "error", "code": code}})
    return lambda handler: handler.send(status, body, {"retry-after": after} if after else {})


def drips(handler: _Handler) -> None:
    """Keeps every read time-out of the client from firing and never ends."""
    handler.send_response(200)
    handler.send_header("content-length", "100000")
    handler.end_headers()
    while not handler.server.stopped.wait(0.05):
        handler.wfile.write(b" ")
        handler.wfile.flush()


def hangs(handler: _Handler) -> None:
    handler.server.stopped.wait()


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    with Provider() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        monkeypatch.setenv("OPENAI_API_BASE", server.address)
        for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY"):
            monkeypatch.delenv(name, raising=False)
        yield server
        server.stopped.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An address on the loopback where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        monkeypatch.setenv("OPENAI_API_BASE", address)
        monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
        yield address


def unit(text: str, dimension: int = 8) -> NDArray[np.float64]:
    row: NDArray[np.float64] = np.array(vector(text, dimension))
    return row / float(np.linalg.norm(row))


def test_without_a_name_and_by_the_name_hash_words_are_embedded_without_a_model() -> None:
    assert open_embedding("").id == open_embedding("hash").id == HashEmbedding().id


@pytest.mark.parametrize("name", ["openai/text-embedding-3-small", "litellm:", "MiniLM", "hash:384", "minilm:x"])
def test_any_other_name_is_told_the_three_that_there_are(name: str) -> None:
    with pytest.raises(UsageError, match=r"use hash .*minilm .*litellm:PROVIDER/MODEL") as failure:
        open_embedding(name)
    assert repr(name) in str(failure.value)


def test_a_providers_vectors_come_in_the_order_of_the_texts_and_of_length_1(provider: Provider) -> None:
    matrix = open_embedding("litellm:openai/tiny").embed(["one", "two", "three"])
    assert matrix.dtype == np.float32
    assert np.allclose(matrix, [unit("one"), unit("two"), unit("three")], atol=1e-6)
    assert provider.requests == [{"model": "tiny", "input": ["one", "two", "three"], "encoding_format": "float"}]


def test_texts_without_words_are_zeros_and_never_sent(provider: Provider) -> None:
    matrix = open_embedding("litellm:openai/tiny").embed(["", "word", " \n", "--!"])
    assert [request["input"] for request in provider.requests] == [["word"]]
    assert np.flatnonzero(matrix.any(axis=1)).tolist() == [1]


def test_many_texts_go_in_batches(provider: Provider) -> None:
    texts = [f"text {n}" for n in range(2 * BATCH + 1)]
    matrix = open_embedding("litellm:openai/tiny").embed(texts)
    assert [len(request["input"]) for request in provider.requests] == [BATCH, BATCH, 1]
    assert np.allclose(matrix, [unit(text) for text in texts], atol=1e-6)


def test_a_long_text_is_cut_to_what_providers_take(provider: Provider) -> None:
    open_embedding("litellm:openai/tiny").embed(["x" * (LONGEST_TEXT + 1)])
    assert provider.requests[0]["input"] == ["x" * LONGEST_TEXT]


def test_the_dimension_is_what_the_model_answers_with_and_asked_for_once(provider: Provider) -> None:
    provider.behaviours = [embeds(24)]
    embedding = open_embedding("litellm:openai/tiny")
    assert provider.requests == []
    assert embedding.dimension == embedding.dimension == 24
    assert len(provider.requests) == 1
    assert embedding.embed([]).shape == (0, 24)


@pytest.mark.parametrize(
    "model", ["openai/tiny", "openai/Qwen/Qwen3-Embedding:0.6B", "openai/" + "long" * 200, "openai/嵌入"]
)
def test_an_id_is_part_of_a_collections_name_and_differs_for_each_model(provider: Provider, model: str) -> None:
    del provider
    name = open_embedding(f"litellm:{model}").id
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{1,98}[A-Za-z0-9]", name)
    assert name == open_embedding(f"litellm:{model}").id
    assert name != open_embedding(f"litellm:{model}-").id


@pytest.mark.parametrize(
    ("status", "words", "code"),
    [
        (401, "Incorrect API key provided: none.", "invalid_api_key"),
        (404, "The model `tiny` doesn't exist.", "model_not_found"),
        (400, "Unsupported value: encoding_format.", ""),
        (429, "You exceeded your current quota.", "insufficient_quota"),
    ],
)
def test_what_no_retry_mends_stops_at_once_in_the_providers_words(
    provider: Provider, status: int, words: str, code: str
) -> None:
    provider.behaviours = [refuses(status, words, code=code)]
    with pytest.raises(ModelError) as failure:
        open_embedding("litellm:openai/tiny").embed(["word"])
    assert str(failure.value) == f"openai/tiny at {provider.address}: {words}"
    assert failure.value.fatal
    assert len(provider.requests) == 1


def test_a_rate_limit_waits_as_long_as_the_provider_asks(provider: Provider) -> None:
    provider.behaviours = [refuses(429, "Slow down.", after="7"), refuses(503, "Overloaded."), embeds()]
    pauses: list[float] = []
    matrix = ProviderEmbedding("openai/tiny", sleep=pauses.append).embed(["word"])
    assert np.allclose(matrix, [unit("word")], atol=1e-6)
    assert pauses == [7, 2]
    assert len(provider.requests) == 3


def test_a_provider_that_stays_overloaded_is_tried_a_bounded_number_of_times(provider: Provider) -> None:
    provider.behaviours = [refuses(429, "Slow down.")]
    pauses: list[float] = []
    with pytest.raises(ModelError, match=r"Slow down\. \(after 3 tries\)") as failure:
        ProviderEmbedding("openai/tiny", tries=3, sleep=pauses.append).embed(["word"])
    assert not failure.value.fatal
    assert len(provider.requests) == 3
    assert pauses == [1, 2]


def test_a_provider_that_asks_to_come_back_tomorrow_is_not_waited_for(provider: Provider) -> None:
    provider.behaviours = [refuses(429, "Daily limit.", after="86400")]
    pauses: list[float] = []
    with pytest.raises(ModelError, match=r"Daily limit\. \(it asked to wait 86400 s\)"):
        ProviderEmbedding("openai/tiny", sleep=pauses.append).embed(["word"])
    assert pauses == []


def test_vectors_of_another_length_than_before_are_refused(provider: Provider) -> None:
    provider.behaviours = [embeds(8), embeds(9)]
    embedding = open_embedding("litellm:openai/tiny")
    embedding.embed(["word"])
    with pytest.raises(ModelError, match="a vector of 9 numbers, after one of 8"):
        embedding.embed(["word"])


def embedded(*rows: Sequence[object]) -> str:
    return json.dumps({"object": "list", "data": [{"index": n, "embedding": row} for n, row in enumerate(rows)]})


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("<html>welcome</html>", "something that is no list of vectors"),
        ("{}", "something that is no list of vectors"),
        (embedded(["a", "b"], [1, 2]), "something that is no list of vectors"),
        (embedded([], []), "something that is no list of vectors"),
        (embedded([1, 2]), "1 vectors for 2 texts"),
        (embedded([1, 2], [1, 2, 3]), "a vector of 3 numbers, after one of 2"),
        (embedded([1, 2], [1, float("nan")]), "something that is no list of vectors"),
    ],
)
def test_an_answer_that_is_not_one_vector_for_each_text_is_told_as_such(
    provider: Provider, body: str, told: str
) -> None:
    provider.behaviours = [answers(body)]
    pauses: list[float] = []
    with pytest.raises(ModelError, match=f"answered with {told}"):
        ProviderEmbedding("openai/tiny", sleep=pauses.append).embed(["one", "two"])


def test_an_address_where_nobody_listens_is_told_at_once(nowhere: str) -> None:
    pauses: list[float] = []
    with pytest.raises(ModelError, match=rf"{nowhere}: cannot be reached .*refused") as failure:
        ProviderEmbedding("openai/tiny", sleep=pauses.append).embed(["word"])
    assert failure.value.fatal
    assert pauses == []


def test_calls_from_several_threads_get_their_own_vectors(provider: Provider) -> None:
    del provider
    embedding = open_embedding("litellm:openai/tiny")
    texts = [f"number {n}" for n in range(16)]
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda text: embedding.embed([text])[0], texts))
    assert np.allclose(rows, [unit(text) for text in texts], atol=1e-6)


def test_a_model_without_a_key_is_told_which_variable_would_have_worked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_API_BASE", "OPENAI_BASE_URL", "GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match=r"set OPENAI_API_KEY \(or OPENAI_API_BASE.*--embedding hash"):
        open_embedding("litellm:openai/text-embedding-3-small")
    with pytest.raises(UsageError, match="set GOOGLE_API_KEY or GEMINI_API_KEY"):
        open_embedding("litellm:gemini/text-embedding-004")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-something")
    open_embedding("litellm:openai/text-embedding-3-small")


def test_a_model_without_a_provider_is_told_how_models_are_named(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="unknown embedding model 'tiny': name it litellm:PROVIDER/MODEL"):
        open_embedding("litellm:tiny")
    assert capfd.readouterr() == ("", "")


def test_a_probe_agrees_with_the_embedding_that_it_was_taken_of() -> None:
    assert agrees(probe(HashEmbedding()), HashEmbedding())
    assert not agrees(probe(HashEmbedding()), HashEmbedding(256))


def test_a_probe_notices_other_weights_and_another_dimension_but_no_noise(provider: Provider) -> None:
    embedding = open_embedding("litellm:openai/tiny")
    stored = probe(embedding)
    for behaviour, same in ((embeds(noise=0.01), True), (embeds(seed=1), False), (embeds(noise=0.1), False)):
        provider.behaviours = [behaviour]
        assert agrees(stored, embedding) is same
    provider.behaviours = [embeds(16)]
    assert not agrees(stored, open_embedding("litellm:openai/tiny"))


@pytest.mark.parametrize(
    "stored",
    ["", "garbage", "[]", "{}", '{"texts": [], "vectors": ""}', '{"texts": ["a", "b", "c"], "vectors": "AAAA"}'],
)
def test_what_is_no_probe_agrees_with_nothing(stored: str) -> None:
    assert not agrees(stored, HashEmbedding())


def test_a_probe_needs_one_call(provider: Provider) -> None:
    embedding = open_embedding("litellm:openai/tiny")
    stored = probe(embedding)
    assert len(provider.requests) == 1
    assert agrees(stored, embedding)
    assert len(provider.requests) == 2


def test_minilm_without_network_and_without_its_files_says_what_works(tmp_path: Path) -> None:
    """In a fresh interpreter, whose home is empty and whose proxy refuses."""
    proxy = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "ALL_PROXY"), "http://127.0.0.1:1")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parent.parent), "HOME": str(tmp_path)}
    program = (
        "from evolve.errors import UsageError\n"
        "from knowledge.embedding_models import open_embedding\n"
        "try: open_embedding('minilm')\n"
        "except UsageError as error: print(error)"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment | proxy, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    told = done.stdout.strip()
    assert "\n" not in told
    assert told.startswith(f"the model of --embedding minilm is not in {tmp_path}/.cache/chroma/onnx_models/")
    assert "cannot be had from https://" in told
    assert "refused" in told
    assert told.endswith("; --embedding hash works without a download")


def test_minilm_gives_up_a_server_that_never_answers(provider: Provider, tmp_path: Path) -> None:
    provider.behaviours = [hangs]
    with pytest.raises(UsageError, match=r"did not answer within 0\.3 s"):
        MiniLM(tmp_path / "cache", provider.address, seconds=0.3)
    assert not (tmp_path / "cache").exists()


def test_minilm_tells_what_the_server_of_its_model_answered(provider: Provider, tmp_path: Path) -> None:
    provider.behaviours = [refuses(403, "Not from here.")]
    with pytest.raises(UsageError, match=r"cannot be had from .*\(HTTP 403\)"):
        MiniLM(tmp_path, provider.address)


def test_minilm_with_a_garbled_model_says_what_to_delete(tmp_path: Path) -> None:
    (tmp_path / "onnx").mkdir()
    for name in MINILM_FILES:
        (tmp_path / "onnx" / name).write_text("{")
    with pytest.raises(UsageError, match=rf"{tmp_path} cannot be used \(.+\): delete that folder"):
        MiniLM(tmp_path)


@pytest.mark.skipif(
    not all((CACHE / "onnx" / name).exists() for name in MINILM_FILES), reason=f"chroma's MiniLM is not in {CACHE}"
)
def test_minilm_finds_what_is_meant_and_is_known_again() -> None:
    embedding: Embedding = open_embedding("minilm")
    meant, other, same, empty = embedding.embed(
        ["The vehicle does not start.", "Bananas are yellow.", "My car's engine won't turn on.", "!"]
    )
    assert meant @ same > 0.5 > meant @ other
    assert np.linalg.norm(meant) == pytest.approx(1, abs=1e-5)
    assert not empty.any()
    assert meant.shape == (embedding.dimension,)
    assert np.allclose(embedding.embed(["word " * 5000])[0], embedding.embed(["word " * 300])[0], atol=1e-4)
    assert agrees(probe(embedding), embedding)


def test_opening_the_embedding_without_a_model_loads_none_of_the_heavy_libraries() -> None:
    program = (
        "import sys; from knowledge.embedding_models import open_embedding; open_embedding('hash');"
        "print({'litellm', 'chromadb', 'httpx', 'numpy', 'onnxruntime'} & sys.modules.keys())"
    )
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parent.parent)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_provider_that_drips_bytes_is_cut_off(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("knowledge.provider_embedding.SECONDS", 0.3)
    provider.behaviours = [drips]
    with pytest.raises(ModelError, match=r"did not answer within 0\.3 s"):
        ProviderEmbedding("openai/tiny").embed(["a text"])
