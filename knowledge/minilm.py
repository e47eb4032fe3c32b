"""Texts to vectors on this machine: all-MiniLM-L6-v2 by chroma's ONNX export, on the processor."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evolve.deadline import within
from evolve.errors import UsageError
from evolve.retry import said
from knowledge.embed import WORD, unit
from knowledge.lock import locked

if TYPE_CHECKING:
    import numpy as np
    from chromadb.utils.embedding_functions.onnx_mini_lm_l6_v2 import ONNXMiniLM_L6_V2
    from numpy.typing import NDArray

HEADERS_SECONDS = 8.0
"""Until the server of a download has begun to answer."""
FILES = (
    "config.json", "model.onnx", "special_tokens_map.json", "tokenizer_config.json", "tokenizer.json", "vocab.txt",
)  # fmt: skip


class MiniLM:
    """Safe to call from several threads.

    Of a text only the first 256 tokens count. Raises UsageError when the model is neither in `folder` nor at `url`
    (chroma's own, by default); an address that has not begun to answer within `seconds` is given up.
    """

    def __init__(self, folder: Path | None = None, url: str = "", seconds: float = HEADERS_SECONDS) -> None:
        self.id = "minilm-l6-v2"
        self.dimension = 384
        self._model = _minilm(folder, url, seconds)

    def embed(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        import numpy as np

        matrix = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(matrix, texts, strict=True):
            if WORD.search(text):
                row[:] = self._model([text])[0]
        return unit(matrix)


def _minilm(folder: Path | None, url: str, seconds: float) -> "ONNXMiniLM_L6_V2":
    from chromadb.utils.embedding_functions.onnx_mini_lm_l6_v2 import ONNXMiniLM_L6_V2

    model = ONNXMiniLM_L6_V2(preferred_providers=["CPUExecutionProvider"])
    model.DOWNLOAD_PATH = folder or model.DOWNLOAD_PATH
    model.MODEL_DOWNLOAD_URL = url or model.MODEL_DOWNLOAD_URL
    if not _is_there(model):
        try:
            _download(model, seconds)
        except Exception as e:  # the boundary to a download: network, disk and archive fail in types of their own
            raise UsageError(
                f"the model of --embedding minilm is not in {model.DOWNLOAD_PATH} and cannot be had from "
                f"{model.MODEL_DOWNLOAD_URL} ({said(e)}); --embedding hash works without a download"
            ) from e
    try:
        model(["a text"])
    except Exception as e:  # the boundary to onnxruntime and tokenizers, which raise types of their own
        raise UsageError(
            f"the model of --embedding minilm in {model.DOWNLOAD_PATH} cannot be used ({said(e)}): delete that "
            "folder to have it downloaded again; --embedding hash works without a download"
        ) from e
    # chroma fills every text up to 256 tokens; one text at a time needs no filling and gives the same vectors.
    model.tokenizer.no_padding()
    return model


def _is_there(model: "ONNXMiniLM_L6_V2") -> bool:
    folder = model.DOWNLOAD_PATH / model.EXTRACTED_FOLDER_NAME
    return all((folder / name).exists() for name in FILES)


def _download(model: "ONNXMiniLM_L6_V2", seconds: float) -> None:
    """One process at a time; chroma checks what came against a hash that it knows."""
    _check_answers(model.MODEL_DOWNLOAD_URL, seconds)
    model.DOWNLOAD_PATH.mkdir(parents=True, exist_ok=True)
    with locked(model.DOWNLOAD_PATH / "download.lock"):
        model._download_model_if_not_exists()  # noqa: SLF001 - chromadb is pinned; its public call would run the model too


def _check_answers(url: str, seconds: float) -> None:
    """Raises what httpx raises, or TimeoutError; httpx itself knows no limit for a name and all its addresses."""
    import httpx

    def ask() -> None:
        with httpx.stream("GET", url, timeout=seconds + 1) as response:
            if response.status_code != httpx.codes.OK:
                raise httpx.HTTPError(f"HTTP {response.status_code}")

    within(seconds, ask)
