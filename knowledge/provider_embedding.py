"""Texts to vectors by an embedding model of any provider that litellm knows."""

import re
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from evolve.deadline import within
from evolve.errors import ModelError
from evolve.provider import ProviderModel, quiet_litellm
from evolve.retry import LONGEST_PAUSE, Retries
from knowledge.embed import WORD, unit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BATCH = 64
"""Texts in one request; the smallest limit of the large providers is 96."""
LONGEST_TEXT = 8000
"""Characters of a text that a provider is sent: no more tokens than the large providers take, in any script."""
SECONDS = 120.0
"""For one request."""
AWAITED = "list of vectors"


class ProviderEmbedding:
    """One model, named `provider/model`; safe to call from several threads.

    Raises UsageError, without a call, for a name or an environment that cannot work. Of a text only the first
    LONGEST_TEXT characters count.
    """

    def __init__(self, model: str, *, tries: int = 4, sleep: Callable[[float], None] = time.sleep) -> None:
        self._model = ProviderModel(model)
        self._retries = Retries(tries, sleep=sleep, patience=LONGEST_PAUSE)
        self._dimension: int | None = None
        self._model.check(
            kind="embedding model",
            named="litellm:PROVIDER/MODEL as litellm does (litellm:openai/…, litellm:gemini/…, litellm:ollama/…)",
            instead="--embedding hash",
        )

    @property
    def id(self) -> str:
        readable = re.sub(r"[^A-Za-z0-9._-]+", "-", self._model.name)[-64:].strip("._-")
        return f"litellm-{readable}-{sha256(self._model.name.encode()).hexdigest()[:8]}"

    @property
    def dimension(self) -> int:
        """Calls the model once where nothing has been embedded yet."""
        if self._dimension is None:
            self._request(["a text"])
        assert self._dimension is not None
        return self._dimension

    def embed(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        import numpy as np

        cut = [text[:LONGEST_TEXT] for text in texts]
        # Providers refuse a text without words, or give it some vector.
        wordy = [n for n, text in enumerate(cut) if WORD.search(text)]
        rows = [
            row
            for start in range(0, len(wordy), BATCH)
            for row in self._request([cut[n] for n in wordy[start : start + BATCH]])
        ]
        matrix = np.zeros((len(texts), self.dimension), dtype=np.float32)
        if rows:
            matrix[wordy] = rows
        return unit(matrix)

    def _request(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector for each text, in order, as long as all before."""
        response = self._retries.run(lambda: self._call(texts), whose=self._model, awaited=AWAITED)
        answer = self._model.read(response, _Answer, AWAITED)
        if len(answer.data) != len(texts):
            raise ModelError(f"{self._model}: answered with {len(answer.data)} vectors for {len(texts)} texts")
        vectors = [item.embedding for item in sorted(answer.data, key=lambda item: item.index)]
        for vector in vectors:
            if self._dimension is None:
                self._dimension = len(vector)
            if len(vector) != self._dimension:
                raise ModelError(
                    f"{self._model}: answered with a vector of {len(vector)} numbers, after one of {self._dimension}"
                )
        return vectors

    def _call(self, texts: Sequence[str]) -> BaseModel:
        """One try in a thread of its own: one that drips bytes is cut off, and litellm's event loop stays there."""
        litellm = quiet_litellm()

        def answer() -> BaseModel:
            response: BaseModel = litellm.embedding(
                model=self._model.name,
                input=list(texts),
                encoding_format="float",
                timeout=SECONDS + 1,
                api_key=self._model.key,
                drop_params=True,
                num_retries=0,
            )
            return response

        return within(SECONDS, answer)


class _Vector(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)

    embedding: list[float] = Field(min_length=1)
    index: int = 0


class _Answer(BaseModel):
    """What is read of a provider's answer."""

    data: list[_Vector]
