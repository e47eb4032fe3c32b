"""What evaluators in OpenEvolve's format import of it: the class of their results, under the name that they use."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType


@dataclass
class EvaluationResult:
    metrics: dict[str, float]
    artifacts: dict[str, str | bytes] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, metrics: dict[str, float]) -> "EvaluationResult":
        return cls(metrics)

    def to_dict(self) -> dict[str, float]:
        return self.metrics

    def has_artifacts(self) -> bool:
        return bool(self.artifacts)

    def get_artifact_keys(self) -> list[str]:
        return list(self.artifacts)

    def get_artifact_size(self, key: str) -> int:
        """Bytes; 0 for one that is not there."""
        value = self.artifacts.get(key, b"")
        return len(value if isinstance(value, bytes) else str(value).encode())

    def get_total_artifact_size(self) -> int:
        return sum(map(self.get_artifact_size, self.artifacts))


def offer() -> None:
    """Make `from openevolve.evaluation_result import EvaluationResult` work in this process."""
    contents: Mapping[str, Mapping[str, object]] = {
        "openevolve": {"__path__": [], "EvaluationResult": EvaluationResult},
        "openevolve.evaluation_result": {"EvaluationResult": EvaluationResult},
    }
    for name, content in contents.items():
        module = sys.modules[name] = ModuleType(name)
        module.__dict__.update(content)
    sys.modules["openevolve"].__dict__["evaluation_result"] = sys.modules["openevolve.evaluation_result"]
