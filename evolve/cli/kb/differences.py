"""What differs in one subject of the log between two points, in words and as JSON."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from evolve.cli.kb.telling import in_line, moment

if TYPE_CHECKING:
    from knowledge.timeline import Difference

LONGEST = 40
"""Characters of a value that is told whole."""


def told(subject: str) -> str:
    """A subject of the log in words."""
    kind, _, name = subject.partition(" ")
    match kind:
        case "record":
            return name
        case "credit":
            return f"credit of {name}"
        case "link":
            return " ".join(json.loads(name))
        case "memory":
            architecture, record = json.loads(name)
            return f"{record} of architecture {architecture}"
        case "memory-told":
            architecture, what, attempt = json.loads(name)
            return f"{what} {attempt} known to architecture {architecture}"
        case _:
            return subject


def as_json(difference: "Difference") -> dict[str, Any]:
    return {
        "subject": difference.subject,
        "change": _change(difference),
        "before": _state(difference.before),
        "after": _state(difference.after),
    }


def row(difference: "Difference") -> tuple[str, str, str]:
    """(added, removed or changed; of what; how)."""
    kind = difference.subject.partition(" ")[0]
    before, after = (_facts(kind, _state(state)) for state in (difference.before, difference.after))
    how = _whole(kind, after or before) if not before or not after else _parts(before, after)
    return _change(difference), told(difference.subject), in_line(how)


def _change(difference: "Difference") -> str:
    return "added" if difference.before is None else "removed" if difference.after is None else "changed"


def _state(data: str | None) -> Any:
    return None if data is None else json.loads(data)


def _facts(kind: str, state: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """What people would compare, by name; what is not written has its default."""
    if state is None:
        return {}
    if kind == "record":
        return {"status": state.get("status", "active"), **state["experience"]}
    return {"counts": True, **state} if kind == "credit" else state


def _whole(kind: str, facts: Mapping[str, Any]) -> str:
    match kind:
        case "record":
            hidden = "" if facts["status"] == "active" else f"({facts['status']}) "
            return f"{hidden}{facts['text']}"
        case "credit":
            return f"{facts['stage']} reward {facts['raw']:+.3f}" + ("" if facts["counts"] else ", taken back")
        case _:
            return ""


def _parts(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return "; ".join(_part(name, before.get(name), after.get(name)) for name in names)


def _part(name: str, before: Any, after: Any) -> str:
    if isinstance(before, dict) and isinstance(after, dict):
        return _parts(before, after)
    if isinstance(before, list) and isinstance(after, list):
        return f"{name} {len(before)} → {len(after)}"
    if name == "counts":
        return "counts again" if after else "taken back"
    short = [_value(moment(each) if name == "expires" and each else each) for each in (before, after)]
    return f"{name} changed" if max(map(len, short)) > LONGEST else f"{name} {short[0]} → {short[1]}"


def _value(value: Any) -> str:
    match value:
        case None | "":
            return "none"
        case float():
            return f"{value:.4g}"
        case _:
            return str(value)
