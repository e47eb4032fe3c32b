"""Whether something raises, without pytest."""

from collections.abc import Callable


def raises(kind: type[Exception], act: Callable[[], object]) -> bool:
    try:
        act()
    except kind:
        return True
    return False
