"""What screening a problem found."""

from collections.abc import Mapping

from evolve.types import Frozen


class Finding(Frozen):
    refused: str = ""
    """Why it cannot be judged, or is not worth it; empty when it is."""
    smaller: Mapping[str, int] = {}
    """Sizes of the problem that were reduced."""
    output: str = "float32"
    """Type of the output."""
    distributions: tuple[str, ...] = ()
    """Those that it is judged on."""
