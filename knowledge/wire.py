"""What architectures take and give as JSON: over a pipe, and in a journal. Decoding trusts nothing."""

from collections.abc import Mapping
from reprlib import repr as short
from typing import Any, TypeVar

from knowledge.architecture import (
    JSON,
    Add,
    AddLink,
    DropLink,
    Event,
    Expire,
    Hit,
    Link,
    Note,
    Op,
    Query,
    Receipt,
    Record,
    Retrieval,
    SetState,
    Supersede,
    Trigger,
    Update,
)

N = TypeVar("N", Event, Query, Record, Trigger, Update, Supersede, Expire, DropLink, SetState, Note)
OPS: Mapping[str, type[Any]] = {
    kind.__name__: kind for kind in (Add, Update, Supersede, Expire, AddLink, DropLink, SetState, Note)
}
TRIGGERS = ("tick", "feedback", "close")
TEXTS = {
    *("id", "kind", "text", "actor", "scope", "parent", "stage", "context", "role", "payload", "status"),
    *("target", "rel", "old", "new", "why", "source", "key"),
}
NUMBERS = {"time", "trust", "now", "budget_tokens", "k", "score", "weight", "valid_from", "valid_to", "reward"}
OBJECTS = {"data", "where", "meta", "changes"}
"""Fields by what they hold, the same in all that is told; those in none of these hold anything."""
OPTIONAL = {"valid_from", "valid_to", "reward"}


def event_out(event: Event) -> JSON:
    return {**event._asdict(), "data": dict(event.data)}


def event_in(told: object) -> Event:
    """Raises ValueError for what is no event; so do the others here for theirs."""
    return _made(Event, told)


def query_out(query: Query) -> JSON:
    return {**query._asdict(), "where": dict(query.where)}


def query_in(told: object) -> Query:
    return _made(Query, told)


def record_out(record: Record) -> JSON:
    return {
        **record._asdict(),
        "sources": list(record.sources),
        "keys": list(record.keys),
        "links": [list(link) for link in record.links],
        "meta": dict(record.meta),
    }


def record_in(told: object) -> Record:
    fields = dict(_mapping(told))
    links = tuple(_link(link) for link in _list(fields.get("links", [])))
    sources, keys = (_texts(fields.get(name, [])) for name in ("sources", "keys"))
    return _made(Record, {**fields, "sources": sources, "keys": keys, "links": links})


def op_out(op: Op) -> JSON:
    match op:
        case Add(record):
            return ["Add", {"record": record_out(record)}]
        case AddLink(source, link):
            return ["AddLink", {"source": source, "link": list(link)}]
        case Update(name, changes):
            return ["Update", {"id": name, "changes": _plain(dict(changes))}]
        case _:
            return [type(op).__name__, _plain(op._asdict())]


def op_in(told: object) -> Op:
    name, fields = _pair(told)
    if name not in OPS:
        raise ValueError(f"{short(name)} is no operation; there are: {', '.join(OPS)}")
    given = dict(_mapping(fields))
    if name == "Add":
        return Add(record_in(given.get("record")))
    if name == "AddLink":
        source = given.get("source")
        if not isinstance(source, str):
            raise ValueError("AddLink without a source")
        return AddLink(source, _link(given.get("link")))
    made: Op = _made(OPS[name], given)
    return made


def retrieval_out(found: Retrieval) -> JSON:
    return {"hits": [list(hit) for hit in found.hits], "text": found.text}


def retrieval_in(told: object) -> Retrieval:
    fields = _mapping(told)
    hits = []
    for hit in _list(fields.get("hits")):
        match hit:
            case [str() as name, int() | float() as score, str() as why]:
                hits.append(Hit(name, score, why))
            case _:
                raise ValueError(f"{short(hit)} is no hit")
    text = fields.get("text")
    if text is not None and not isinstance(text, str):
        raise ValueError(f"a synthesis is a string, not {short(text)}")
    return Retrieval(hits, text)


def trigger_out(trigger: Trigger) -> JSON:
    receipt = trigger.receipt
    told: JSON = None if receipt is None else {"query": query_out(receipt.query), "items": list(receipt.items)}
    return {"kind": trigger.kind, "receipt": told, "reward": trigger.reward}


def trigger_in(told: object) -> Trigger:
    fields = dict(_mapping(told))
    given = fields.pop("receipt", None)
    receipt = None
    if given is not None:
        shown = _mapping(given)
        receipt = Receipt(query_in(shown.get("query")), _texts(shown.get("items")))
    if fields.get("kind") not in TRIGGERS:
        raise ValueError(f"{short(fields.get('kind'))} is no trigger; there are: {', '.join(TRIGGERS)}")
    return _made(Trigger, {**fields, "receipt": receipt})


def _made(kind: type[N], told: object) -> N:
    fields = _mapping(told)
    for name, value in fields.items():
        if not _right(name, value):
            raise ValueError(f"{name!r:.80} of {kind.__name__} cannot be {short(value)}")
    try:
        return kind(**fields)
    except TypeError as fault:
        raise ValueError(f"no {kind.__name__}: {fault}") from fault


def _right(name: str, value: object) -> bool:
    if name in TEXTS:
        return isinstance(value, str)
    if name in NUMBERS:
        return isinstance(value, int | float) or (value is None and name in OPTIONAL)
    return name not in OBJECTS or isinstance(value, Mapping)


def _link(told: object) -> Link:
    match told:
        case [str() as target, str() as rel, int() | float() as weight]:
            return Link(target, rel, weight)
        case _:
            raise ValueError(f"{short(told)} is no link")


def _mapping(told: object) -> Mapping[str, Any]:
    if not isinstance(told, Mapping) or not all(isinstance(key, str) for key in told):
        raise ValueError(f"{short(told)} is no object")
    return told


def _list(told: object) -> list[Any]:
    if not isinstance(told, list):
        raise ValueError(f"{short(told)} is no list")  # noqa: TRY004
    return told


def _texts(told: object) -> tuple[str, ...]:
    texts = _list(told)
    if not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{short(told)} are not all strings")
    return tuple(texts)


def _pair(told: object) -> tuple[str, object]:
    match told:
        case [str() as name, fields]:
            return name, fields
        case _:
            raise ValueError(f"{short(told)} is no operation")


def _plain(value: Any) -> Any:
    """Tuples as lists, mappings as objects."""
    if isinstance(value, Mapping):
        return {key: _plain(held) for key, held in value.items()}
    return [_plain(held) for held in value] if isinstance(value, list | tuple) else value
