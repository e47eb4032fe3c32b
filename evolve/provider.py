"""A model of a provider that litellm knows: its name and key checked, its address; and litellm itself, silent."""

import importlib
import ipaddress
import logging
import os
import warnings
from types import ModuleType
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from evolve.errors import ModelError, UsageError

A = TypeVar("A", bound=BaseModel)


class Price(NamedTuple):
    """Dollars per token."""

    sent: float
    received: float

    def of(self, sent: int, received: int) -> float:
        return self.sent * sent + self.received * received


class ProviderModel(NamedTuple):
    """Keys and addresses come from the environment, as the provider names them. An OpenAI-compatible server of one's
    own is `openai/NAME` with OPENAI_API_BASE; it needs no key. As text: what a message about a failure starts with.
    """

    name: str
    """`provider/model`."""

    def __str__(self) -> str:
        return f"{self.name} at {self.address}" if self.address else self.name

    @property
    def address(self) -> str:
        """Where an OpenAI-compatible server of one's own lies; empty for a provider's own address."""
        if quiet_litellm().get_llm_provider(self.name)[1] != "openai":
            return ""
        return os.environ.get("OPENAI_BASE_URL") or os.environ.get("OPENAI_API_BASE") or ""

    @property
    def key(self) -> str | None:
        """What litellm has to be told, which asks for a key even where none is needed; None: it finds it itself."""
        return "none" if self.address and "OPENAI_API_KEY" not in os.environ else None

    def check(self, *, kind: str, named: str, instead: str) -> None:
        """Raises UsageError, without a call, for a name or an environment that cannot work.

        Its sentence says that a model of this `kind` is `named` so, and what to use `instead`.
        """
        litellm = quiet_litellm()
        try:
            provider = litellm.get_llm_provider(self.name)[1]
        except litellm.exceptions.BadRequestError as error:
            raise UsageError(
                f"unknown {kind} {self.name!r}: name it {named}, or use {instead}, which needs no model"
            ) from error
        missing = litellm.validate_environment(self.name)["missing_keys"]
        if self.address or not any(name.endswith("_KEY") for name in missing):  # the rest may have a default
            return
        either = (" or " if provider == "gemini" else " and ").join(missing)
        own = " (or OPENAI_API_BASE, for a server of your own)" if provider == "openai" else ""
        raise UsageError(f"the {kind} {self.name} has no key: set {either}{own}, or use {instead}")

    @property
    def is_local(self) -> bool:
        """On this machine or in its network, where no list price holds."""
        host = urlsplit(self.address).hostname or ""
        try:
            return ipaddress.ip_address(host).is_private
        except ValueError:
            return host == "localhost" or host.endswith(".local")

    @property
    def price(self) -> "Price | None":
        """By the provider's list; None where nobody knows it."""
        if self.is_local:
            return None
        try:
            listed = quiet_litellm().get_model_info(self.name)
        except Exception:  # noqa: BLE001 - the provider's boundary: a model that is on no list
            return None
        sent, received = listed.get("input_cost_per_token"), listed.get("output_cost_per_token")
        return None if sent is None or received is None else Price(float(sent), float(received))

    @property
    def knows_shapes(self) -> bool:
        """Whether a reply's JSON schema is worth asking for; a server of one's own may, and is tried."""
        litellm = quiet_litellm()
        provider = litellm.get_llm_provider(self.name)[1]
        return provider == "openai" or bool(litellm.supports_response_schema(self.name))

    def read(self, response: BaseModel, shape: type[A], awaited: str) -> A:
        """What is used of an answer. Raises ModelError for one that is no `awaited`."""
        try:
            return shape.model_validate(response.model_dump())
        except ValidationError as error:
            raise ModelError(f"{self}: answered with something that is no {awaited}", fatal=False) from error


def quiet_litellm() -> ModuleType:
    """The library without price lists from the network, a `.env` of the working folder, advertising, own retries.

    Imported by name, so that the type checker need not read its 300 MB.
    """
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")
    warnings.filterwarnings("ignore", message="Item '.*' on TypedDict class", category=UserWarning)
    # What is no vector is refused in a sentence.
    warnings.filterwarnings("ignore", message=r"Pydantic serializer warnings:\s+.*field_name='embedding'")
    # It reads every chunk of a stream in a way that pydantic will drop.
    warnings.filterwarnings("ignore", message="Accessing the 'model_(?:computed_)?fields' attribute on the instance")
    litellm = importlib.import_module("litellm")
    litellm.suppress_debug_info = True  # type: ignore[attr-defined]
    litellm.telemetry = False  # type: ignore[attr-defined]
    litellm.disable_streaming_logging = True  # type: ignore[attr-defined]
    litellm.disable_hf_tokenizer_download = True  # type: ignore[attr-defined]  # it counts what has no usage
    litellm.DEFAULT_MAX_RETRIES = 0  # type: ignore[attr-defined]  # an embedding call takes `max_retries=0` for unset
    logging.getLogger("LiteLLM").setLevel(logging.CRITICAL)
    return litellm
