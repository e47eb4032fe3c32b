"""JSON that can be read and copied but not changed: what untrusted code is shown of data that stays ours."""

from collections.abc import Mapping
from typing import Any, NoReturn


def _refuse(*_: object, **__: object) -> NoReturn:
    raise TypeError("what a bank gives is only to be read; change a copy")


def _reader(kind: type[Any], *changing: str) -> type[Any]:
    """Such a container that can be read, copied and pickled (both give a plain one) but not changed."""
    reduced = {"__reduce__": lambda self: (kind, (kind(self),))}
    return type(f"Read{kind.__name__}", (kind,), dict.fromkeys(changing, _refuse) | reduced)


ReadDict = _reader(dict, "__setitem__", "__delitem__", "__ior__", "clear", "pop", "popitem", "setdefault", "update")
ReadList = _reader(
    list,
    *("__setitem__", "__delitem__", "__iadd__", "__imul__", "append", "clear", "extend", "insert", "pop", "remove"),
    *("reverse", "sort"),
)


def frozen(value: Any) -> Any:
    """Equal JSON that nobody can change."""
    if isinstance(value, Mapping):
        return ReadDict({key: frozen(held) for key, held in value.items()})
    return ReadList(map(frozen, value)) if isinstance(value, list | tuple) else value
