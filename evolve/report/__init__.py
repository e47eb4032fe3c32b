"""A run as one page of HTML: what it found, how it came to that, what it cost and how to do it again.

`facts` reads the journal, `recall` the knowledge base, `lineage` says what became of what, `charts` draws, `page`
writes it down. Nothing here changes a run or waits for one that is going on.
"""

import os
from contextlib import suppress
from pathlib import Path

from evolve.errors import StorageError
from evolve.journal import Journal
from evolve.run import Run

FILE = "report.html"


def save(run: Run, journal: Journal, to: Path) -> Path:
    """Write the page, whole or not at all, in a folder that is there. Raises StorageError."""
    from evolve.report.facts import gathered
    from evolve.report.page import rendered

    text = rendered(gathered(run, journal))
    partial = to.with_name(f".{to.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(to)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise StorageError(f"the report {to} cannot be written: {error.strerror}; name a place by --output") from error
    return to
