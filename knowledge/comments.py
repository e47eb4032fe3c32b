"""Takes the comments out of code: what is stored as an example may not carry messages to a later reader.

A scanner of strings and comments, so that it also works on code that does not compile. Python's docstrings stay:
they are strings of the program. So do the marks around what may change (`# EVOLVE-BLOCK-START` with nothing else in the
comment). Files of other languages are left as they are.
"""

import re
from pathlib import PurePosixPath

C_SUFFIXES = frozenset({".c", ".h", ".cc", ".cpp", ".cxx", ".hpp", ".cu", ".cuh", ".cl"})
PYTHON_SUFFIXES = frozenset({".py", ".pyi", ".mojo"})

_C = re.compile(
    r"""(?P<text> R"(?P<mark>[^()\\\s]{0,16})\(.*?\)(?P=mark)"   # C++ raw string
          | "(?:\\.|[^"\\\n])*"
          | (?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'                  # not the digit separator of 1'000
        ) | (?P<comment> //(?:\\\n|[^\n])* | /\*.*?(?:\*/|\Z) )""",
    re.DOTALL | re.VERBOSE,
)
_PYTHON = re.compile(
    r"""(?P<text> (?P<mark>\"{3}|'{3})(?:\\.|.)*?(?:(?P=mark)|\Z)
          | "(?:\\.|[^"\\\n])*"
          | '(?:\\.|[^'\\\n])*'
        ) | (?P<comment> \#(?![ ]*EVOLVE-BLOCK-(?:START|END)[ ]*$)[^\n]* )""",
    re.DOTALL | re.VERBOSE | re.MULTILINE,
)


def without_comments(name: str, code: str) -> str:
    """`code` of the file `name`, each comment replaced by a blank, so that the program stays the same."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in C_SUFFIXES:
        pattern = _C
    elif suffix in PYTHON_SUFFIXES:
        pattern = _PYTHON
    else:
        return code
    return pattern.sub(lambda found: found["text"] if found["comment"] is None else " ", code)
