"""Architectures made of the programs of others: which design encodes, stores, retrieves and manages.

What is composed is one module of its own, so it is judged, kept and installed as any other. Two programs of different
designs meet only through the bank: what one leaves in its own object, the other does not see, and such a child fails
or scores badly like any other bad idea.
"""

import ast
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import NamedTuple

from knowledge.architecture import DesignError, Param
from knowledge.design import Design

PROGRAMS = ("encode", "store", "retrieve", "manage")
WEIGHT = (0.0, 2.0)
"""Bounds of what a retriever of a blend counts for."""


class Genome(NamedTuple):
    """Names of designs."""

    encode: str
    store: str
    retrieve: tuple[tuple[str, float], ...]
    """Several are blended: their scores, brought to one scale, are added by these weights."""
    manage: str

    @classmethod
    def of(cls, name: str) -> "Genome":
        """All four programs of one design."""
        return cls(name, name, ((name, 1.0),), name)

    @property
    def parts(self) -> tuple[str, ...]:
        """Every design named, once."""
        retrievers = [name for name, _ in self.retrieve]
        return tuple(dict.fromkeys([self.encode, self.store, *retrievers, self.manage]))

    @property
    def is_whole(self) -> bool:
        """All four programs of one design and nothing else."""
        return len(self.parts) == 1 and len(self.retrieve) == 1

    def needed(self, part: str) -> frozenset[str]:
        """Which programs of `part` are used."""
        used = {
            "encode": self.encode == part,
            "store": self.store == part,
            "retrieve": any(name == part for name, _ in self.retrieve),
            "manage": self.manage == part,
        }
        return frozenset(program for program, is_used in used.items() if is_used)


def compose(name: str, genome: Genome, parts: Mapping[str, Design], params: Mapping[str, float]) -> Design:
    """One module with the programs named, each part in a scope of its own, without what no program of it reaches.

    A part's parameter `p` is called `part_p`, the weight of a retriever in a blend `weight_part`, and how many hits
    each of the blend is asked for `depth`; `params` may name others, which are left out. All four programs of one
    design are that design, its parameters by their own names. Raises DesignError for a part that is no module.
    """
    if genome.is_whole:
        prefix = f"{genome.encode}_"
        own = {key.removeprefix(prefix): value for key, value in params.items() if key.startswith(prefix)}
        return Design(name, parts[genome.encode].source, own)
    scopes = [_scope(part, parts[part].source, genome.needed(part)) for part in genome.parts]
    pieces = [f'"""{told(genome)}"""', _HEAD, *scopes, _table(genome), _composed(genome), _TAIL]
    return Design(name, "\n\n\n".join(pieces) + "\n", {key: params[key] for key in params if _belongs(key, genome)})


def _belongs(key: str, genome: Genome) -> bool:
    if len(genome.retrieve) > 1 and key in {"depth", *(f"weight_{name}" for name, _ in genome.retrieve)}:
        return True
    return any(key.startswith(f"{part}_") for part in genome.parts)


def told(genome: Genome) -> str:
    """In one line, for people: `encode and store of hcam, retrieve of hcam and dense, manage of evolver`."""
    retrievers = " and ".join(name for name, _ in genome.retrieve)
    by: dict[str, list[str]] = {}
    for program, part in zip(PROGRAMS, (genome.encode, genome.store, retrievers, genome.manage), strict=True):
        by.setdefault(part, []).append(program)
    return ", ".join(f"{' and '.join(programs)} of {part}" for part, programs in by.items())


def written_params(source: str) -> dict[str, Param]:
    """What a module declares, read from its text without running it: for designs that nobody vouches for.

    None of it where PARAMS is not written out as a mapping of names to `Param(…)` with plain numbers.
    """
    for line in _parsed("it", source).body:
        value = line.value if isinstance(line, ast.Assign | ast.AnnAssign) and _binds(line) == {"PARAMS"} else None
        if isinstance(value, ast.Dict):
            try:
                return dict(map(_written_param, value.keys, value.values))
            except (ValueError, TypeError):
                return {}
    return {}


def _written_param(key: ast.expr | None, value: ast.expr) -> tuple[str, Param]:
    match key, value:
        case ast.Constant(str(name)), ast.Call(ast.Name("Param"), args, keywords):
            named = {keyword.arg or "": ast.literal_eval(keyword.value) for keyword in keywords}
            return name, Param(*map(ast.literal_eval, args), **named)
        case _:
            raise ValueError("no plain Param")


@lru_cache(maxsize=256)
def lean(source: str) -> str:
    """The module without comments and docstrings, laid out in one way: what code size is measured on."""
    return ast.unparse(_bare(_parsed("it", source)))


_HEAD = "from knowledge.architecture import Hit, Param, Retrieval, filled"

_TABLE = """PARTS = {%s}
PARAMS = {f'{part}_{name}': param for part, (_, own) in PARTS.items() for name, param in own.items()}"""

_BLENDED = """PARAMS |= {%s, 'depth': Param(400, 50, 1000, whole=True)}


def blended(found, weights, k):
    total = {}
    for hits, weight in zip(found, weights):
        low = min((hit.score for hit in hits), default=0.0)
        spread = max((hit.score for hit in hits), default=0.0) - low or 1.0
        for hit in hits:
            total[hit.id] = total.get(hit.id, 0.0) + weight * (hit.score - low) / spread
    best = sorted(total, key=total.get, reverse=True)
    return Retrieval([Hit(name, total[name]) for name in best[:k]])"""

_CLASS = """class Composed:
    def __init__(self, params):
        parts = {part: build({name: params[f'{part}_{name}'] for name in own}) for part, (build, own) in PARTS.items()}
        self.encode = parts[%r].encode
        self.store = parts[%r].store
        self.manage = parts[%r].manage
"""

_ONE = "        self.retrieve = parts[%r].retrieve"

_SEVERAL = """        self._depth = int(params['depth'])
        self._asked = [(parts[name], params[f'weight_{name}']) for name in %r]

    def retrieve(self, query, bank, ctx):
        deep = query._replace(k=max(query.k, self._depth))
        found = [part.retrieve(deep, bank, ctx).hits for part, _ in self._asked]
        return blended(found, [weight for _, weight in self._asked], query.k)"""

_TAIL = """def build(params):
    return Composed(filled(PARAMS, params))"""


def _table(genome: Genome) -> str:
    table = _TABLE % ", ".join(f"{part!r}: {_function(part)}()" for part in genome.parts)
    if len(genome.retrieve) == 1:
        return table
    low, high = WEIGHT
    weights = (f"'weight_{name}': Param({weight!r}, {low!r}, {high!r})" for name, weight in genome.retrieve)
    return f"{table}\n{_BLENDED % ', '.join(weights)}"


def _composed(genome: Genome) -> str:
    names = [name for name, _ in genome.retrieve]
    retrieve = _ONE % names[0] if len(names) == 1 else _SEVERAL % (names,)
    return _CLASS % (genome.encode, genome.store, genome.manage) + retrieve


def _function(part: str) -> str:
    return f"_{part}"


@lru_cache(maxsize=1024)
def _scope(part: str, source: str, needed: frozenset[str]) -> str:
    """The part's module as a function that returns its `build` and its PARAMS."""
    kept = _reached(_bare(_parsed(part, source)), needed)
    body = "\n".join(f"    {line}" if line else "" for line in ast.unparse(kept).splitlines())
    return f"def {_function(part)}():\n{body}\n    return build, PARAMS"


def _parsed(part: str, source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError) as fault:
        raise DesignError("import", f"{part} is no Python module: {fault}") from fault


def _bare(module: ast.Module) -> ast.Module:
    """Without docstrings, strings that stand alone and what only type checkers read."""
    for node in ast.walk(module):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [line for line in body if not _is_remark(line)]
            node.body = kept or ([] if isinstance(node, ast.Module) else [ast.Pass()])  # type: ignore[attr-defined]
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
    return module


def _is_remark(line: ast.stmt) -> bool:
    match line:
        case ast.Expr(ast.Constant(str())) | ast.ImportFrom("__future__") | ast.If(ast.Name("TYPE_CHECKING")):
            return True
        case _:
            return False


def _reached(module: ast.Module, needed: frozenset[str]) -> ast.Module:
    """What `build`, `PARAMS` and the programs needed mention, and what that mentions: by name, so never too little."""
    mentioned = {"build", "PARAMS"} | needed
    while True:
        kept = [line for line in (_trimmed(line, mentioned) for line in module.body) if line is not None]
        grown = mentioned.union(*map(_mentions, kept))
        if grown == mentioned:
            return ast.Module(kept, [])
        mentioned = grown


def _trimmed(line: ast.stmt, mentioned: AbstractSet[str]) -> ast.stmt | None:
    """As much of a statement as somebody mentions."""
    match line:
        case ast.ClassDef(name, bases, keywords, body, decorators):
            kept = [inner for inner in body if not _is_unused_method(inner, mentioned)] or [ast.Pass()]
            return ast.ClassDef(name, bases, keywords, kept, decorators) if name in mentioned else None
        case ast.ImportFrom(module, names, level):
            used = _used(names, mentioned)
            return ast.ImportFrom(module, used, level) if used else None
        case ast.Import(names):
            used = _used(names, mentioned)
            return ast.Import(used) if used else None
    bound = _binds(line)
    return line if bound is None or bound & mentioned else None


def _used(names: list[ast.alias], mentioned: AbstractSet[str]) -> list[ast.alias]:
    return [name for name in names if (name.asname or name.name).partition(".")[0] in mentioned]


def _binds(line: ast.stmt) -> set[str] | None:
    """The names that a definition is there for; None for a statement that does more."""
    match line:
        case ast.FunctionDef(name) | ast.AnnAssign(ast.Name(name)):
            return {name}
        case ast.Assign(targets):
            return {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}
    return None


def _is_unused_method(line: ast.stmt, mentioned: AbstractSet[str]) -> bool:
    return isinstance(line, ast.FunctionDef) and not line.name.startswith("__") and line.name not in mentioned


def _mentions(line: ast.stmt) -> set[str]:
    """Names that are read, attributes among them; names that it only binds for others are not."""
    named = {node.id for node in ast.walk(line) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return named | {node.attr for node in ast.walk(line) if isinstance(node, ast.Attribute)}
