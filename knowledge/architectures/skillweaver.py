"""SkillWeaver (Zheng and others, 2025, arXiv 2504.07079): a library of functions taken from what was done correctly.

Kept: a skill is a function with its arguments (Python or C), only from a correct trajectory or attempt, only if a
check of the code refuses nothing; found by its name, description and arguments; the better of two functions with one
name for one task is kept; one that failed too often when it was shown is pruned.
Left out: exploring a site to propose skills, and running them: code here is shown, never executed. The check is of
words, because no parser is among what an architecture may import: it also refuses harmless code that names `open`.
What holds no correct code (a plain message) makes no skill; it stays as it was told and is found by its words.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from knowledge.architecture import (
    LONGEST,
    Add,
    BankView,
    Ctx,
    Event,
    Expire,
    Hit,
    NoModelError,
    Note,
    Op,
    Param,
    Query,
    Record,
    Retrieval,
    Supersede,
    Trigger,
    Update,
    filled,
    named,
    verbatim,
)
from knowledge.stems import stems

PARAMS = {
    "skills": Param(3, 0, 10, whole=True),  # shown at most
    "match": Param(0.2, 0.0, 1.0),  # share of a skill's words that must be asked for
    "failures": Param(2, 1, 8, whole=True),  # before a skill may be pruned
    "k1": Param(1.2, 0.2, 3.0),
    "b": Param(0.75, 0.0, 1.0),
}
FORBIDDEN = re.compile(
    r"\b(exec|eval|compile|__\w+__|builtins|open|fdopen|system|popen|subprocess|getattr|setattr|globals|locals|vars|"
    r"breakpoint|input|importlib|ctypes|socket|shutil|pickle|marshal|fopen|freopen|unlink|remove|rmtree|fork|vfork|"
    r"exec[lv]p?e?|dlopen|dlsym|syscall|ptrace|mmap|mprotect|asm|__asm)\b"
)
ASIDE = re.compile(
    r"(?P<kept>\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*')|//[^\n]*|/\*.*?\*/", re.DOTALL
)  # of C: strings, else comments
PYTHON = re.compile(r"^[ \t]*(?:async[ \t]+)?def[ \t]+(\w+)[ \t]*\(([^)]*)\)[^\n]*:[ \t]*\n", re.MULTILINE)
C = re.compile(r"^(?!static\b)[A-Za-z_][\w \t*]*?[ \t*](\w+)[ \t]*\(([^;{}()]*)\)\s*\{", re.MULTILINE)
FENCED = re.compile(r"```\w*\n(.*?)```", re.DOTALL)
DOCSTRING = re.compile(r"\s*[rbu]?(?:\"\"\"|''')(.+?)(?:\"\"\"|''')", re.DOTALL)
DESCRIBE = "Say in one sentence what this function does and when to use it:\n\n"


class Function(NamedTuple):
    name: str
    arguments: tuple[str, ...]
    about: str
    """Its docstring; empty where there is none."""


class SkillWeaver:
    def __init__(self, params: Mapping[str, float]) -> None:
        self._p = params

    def encode(self, event: Event, ctx: Ctx) -> Iterable[Record]:
        yield verbatim(event)
        code = code_of(event) if event.data.get("feasible") is True else ""
        found = function(code)
        if found is not None and not FORBIDDEN.search(uncommented(code)):
            yield skill(event, code, found, ctx)

    def store(self, new: Sequence[Record], bank: BankView, ctx: Ctx) -> Iterator[Op]:
        del ctx
        for record in new:
            old = twin(record, bank) if record.kind == "skill" else None
            if old is not None and gain(old) >= gain(record):
                yield Note(f"{old.id} is no worse than {record.id}")
                continue
            yield Add(record)
            if old is not None:
                yield Supersede(old.id, record.id, "a better function of that name")

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        """Skills that match, best first, then whatever shares words with the query."""
        del ctx
        known = " ".join(str(query.where[name]) for name in ("task", "state") if query.where.get(name))
        found = bank.lexical(query.text, query.k, k1=self._p["k1"], b=self._p["b"])
        asked = set(stems(f"{query.text} {known}"))
        matches: list[Hit] = []
        for hit in bank.lexical(f"{query.text} {known}", 20, kind="skill"):
            record = bank.get(hit.id)
            if record is not None and (share := matched(record, asked)) >= max(self._p["match"], 1e-9):
                matches.append(Hit(hit.id, share, "a function that matches"))
        matches.sort(key=lambda hit: -hit.score)
        lift = max((hit.score for hit in found), default=0.0)
        first = [Hit(hit.id, lift + hit.score, hit.why) for hit in matches[: int(self._p["skills"])]]
        names = {hit.id for hit in first}
        return Retrieval([*first, *(hit for hit in found if hit.id not in names)][: query.k])

    def manage(self, trigger: Trigger, bank: BankView, ctx: Ctx) -> Iterator[Op]:
        del ctx
        if trigger.receipt is None or not trigger.reward:
            return
        for name in trigger.receipt.items:
            record = bank.get(name)
            if record is None or record.kind != "skill":
                continue
            helped, failed = count(record, "helped"), count(record, "failed")
            helped, failed = (helped + 1, failed) if trigger.reward > 0 else (helped, failed + 1)
            yield Update(name, {"meta": {"helped": helped, "failed": failed}})
            if failed >= self._p["failures"] and failed > helped:
                yield Expire(name, f"failed {failed} times of {helped + failed}")


def code_of(event: Event) -> str:
    """Empty where there is none, or more than a skill can hold."""
    code = event.data.get("code")
    if not isinstance(code, str) or not code:
        code = "\n".join(FENCED.findall(event.text)) if event.kind in {"trajectory", "step"} else ""
    return code if len(code) <= LONGEST else ""


def function(code: str) -> Function | None:
    """The last function of the code: what the others serve."""
    found = list(PYTHON.finditer(code))
    if found:
        about = DOCSTRING.match(code, found[-1].end())
        told = " ".join(about[1].split())[:240] if about else ""
        return Function(found[-1][1], arguments(found[-1][2]), told)
    found = list(C.finditer(uncommented(code)))
    return Function(found[-1][1], arguments(found[-1][2]), "") if found else None


def arguments(listed: str) -> tuple[str, ...]:
    """Their names, without types and defaults."""
    parts = [re.sub(r"\[[^\]]*\]", "", part.split("=")[0].split(":")[0]) for part in listed.split(",")]
    return tuple(words[-1] for part in parts if (words := re.findall(r"[A-Za-z_]\w*", part)) and words[-1] != "void")


def uncommented(code: str) -> str:
    """C without its comments; of Python everything is looked at, because `//` divides there."""
    return code if PYTHON.search(code) else ASIDE.sub(lambda found: found["kept"] or " ", code)


def skill(event: Event, code: str, found: Function, ctx: Ctx) -> Record:
    what = ("task", "state", "technique")
    task, state, technique = (str(event.data[name]) if event.data.get(name) else "" for name in what)
    about = " ".join(filter(None, (found.about, technique, state and f"({state})", task and f"for {task}")))
    about = described(code, ctx) or about
    signature = f"{found.name}({', '.join(found.arguments)})"
    worth = event.data.get("score", event.data.get("gain"))
    return Record(
        id=named("skill", event.id),
        text=f"{signature}: {about}".rstrip(": "),
        sources=(event.id,),
        kind="skill",
        keys=(f"{found.name} {about} {' '.join(found.arguments)} {task} {technique}",),
        meta={
            "name": found.name,
            "arguments": list(found.arguments),
            "task": task,
            "state": state,
            "technique": technique,
            "worth": worth,
        },
        valid_from=event.time,
        payload=code,
    )


def described(code: str, ctx: Ctx) -> str:
    try:
        return " ".join(ctx.llm(DESCRIBE + code[:8000], max_tokens=100).split())[:400]
    except NoModelError:
        return ""


def twin(record: Record, bank: BankView) -> Record | None:
    """The function of the same name and arguments for the same task."""
    for hit in bank.lexical("\n".join(record.keys), 8, kind="skill"):
        old = bank.get(hit.id)
        if old is not None and all(
            old.meta.get(name) == record.meta.get(name) for name in ("name", "arguments", "task")
        ):
            return old
    return None


def matched(record: Record, asked: set[str]) -> float:
    """Share of the words of its name, description and arguments that are asked for."""
    own = set(stems("\n".join(record.keys) or record.text))
    return len(own & asked) / max(1, len(own))


def gain(record: Record) -> float:
    worth = record.meta.get("worth")
    return float(worth) if isinstance(worth, int | float) else 0.0


def count(record: Record, name: str) -> int:
    value = record.meta.get(name, 0)
    return int(value) if isinstance(value, int | float) else 0


def build(params: Mapping[str, float]) -> SkillWeaver:
    return SkillWeaver(filled(PARAMS, params))
