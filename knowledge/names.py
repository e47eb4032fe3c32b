"""Names of code: those that a document says something about, and those that code or a complaint about it contains."""

import re
from collections.abc import Iterable, Iterator, Mapping

from knowledge.comments import without_comments
from knowledge.passages import FENCE, paragraphs_of

SHORTEST = 3
"""Letters of a name that says something by itself."""
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_SHAPED = re.compile(
    r"""\b_*[A-Za-z](?=\w*(?:\w_\w|[a-z\d][A-Z]|[A-Za-z]\d)|_\w|\d)\w*(?:\.\w+)*  # an underscore, hump or digit inside
      | \b[A-Za-z]\w*(?:\.[A-Za-z]\w+)+                                           # or a dot
    """,
    re.VERBOSE,
)
_USED = re.compile(
    r"""([A-Za-z_][\w.]*) \s* (?:\[[^\[\]\n]*\])? \(   # called, perhaps with parameters
      | \b([A-Z]\w*) \s* \[                            # a type with parameters
      | @([A-Za-z_][\w.]*)                             # a decorator
      | (?<=\.)([A-Za-z_]\w*)                          # a member
    """,
    re.VERBOSE,
)
_IMPORTED = re.compile(r"^\s*(?:from\s+([\w.]+)\s+)?import\s+([\w., ()]+)|#\s*include\s*[<\"]([\w./]+)", re.MULTILINE)
_DEFINED = re.compile(r"\b(?:def|fn|struct|class|void|int|float|double|bool|auto)\s+\**([A-Za-z_]\w*)\s*[\[(<:{]")
_QUOTED = re.compile(r"[‘'\"`]([A-Za-z_][\w.]*)(?:\([^)]*\))?[’'\"`]")
_COMMON = frozenset(
    """and as auto bool break char class const continue def double elif else False float fn for from if import in int
    is len let long None not or print raises range return self short signed sizeof static struct switch True unsigned
    var void while""".split()  # noqa: SIM905  a list of 40 literals is no easier to read
)


def documented(text: str) -> set[str]:
    """Names in code spans, names that only code has, and what the fenced code calls or imports but does not define."""
    paragraphs = paragraphs_of(text)
    prose = [paragraph for paragraph in paragraphs if not FENCE.match(paragraph)]
    code = "\n".join(paragraph.partition("\n")[2] for paragraph in paragraphs if FENCE.match(paragraph))
    spans = " ".join(span for paragraph in prose for span in _SPAN.findall(paragraph))
    names = {*_DOTTED.findall(spans), *_SHAPED.findall("\n".join(prose))}
    names |= {name for found in _USED.findall(code) for name in found}
    names |= {name for found in _IMPORTED.findall(code) for part in found for name in _DOTTED.findall(part)}
    return set(_telling(names - set(_DEFINED.findall(code))))


def only_code_has(name: str) -> bool:
    """Whether it could be no word of a sentence, nor a common name of a variable."""
    return _SHAPED.fullmatch(name) is not None


def in_code(files: Mapping[str, str]) -> Iterator[str]:
    """Every name in the files, comments aside; the same one again and again."""
    for name, code in files.items():
        yield from _telling(_DOTTED.findall(without_comments(name, code)))


def in_words(text: str) -> Iterator[str]:
    """Names in quotation marks, and those that only code has."""
    return _telling([*_SHAPED.findall(text), *_QUOTED.findall(text)])


def _telling(names: Iterable[str]) -> Iterator[str]:
    """Of a dotted name also what stands last."""
    for name in names:
        for part in dict.fromkeys((name, name.rpartition(".")[2])):
            if len(part) >= SHORTEST and part not in _COMMON:
                yield part
