"""What people do to a knowledge base: take back, go back, fold, build anew."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from evolve.errors import UsageError
from knowledge.bank import ACTIVE, keyed
from knowledge.distil import GUIDE, INSIGHT
from knowledge.doctor import Finding, examine, mend
from knowledge.duplicates import NEARLY, alike
from knowledge.embed import Embedding
from knowledge.embedding_models import agrees, open_embedding
from knowledge.exporting import Exported, export
from knowledge.hygiene import Revoked
from knowledge.importing import Imported, import_
from knowledge.library import EMBEDDING, EMBEDDING_ID, INDEX, PROBE
from knowledge.log import BASE
from knowledge.memory import REFLECTED, Memory
from knowledge.timeline import Difference

CHUNK = 1000
"""Texts embedded at once."""


class Upkeep(Memory):
    """Every change can be undone by going back, but `erase`. Raises as `Memory` does."""

    def revoke(self, attempt: str, why: str) -> Revoked:
        """Take back all that rests on an attempt, and distil anew what also rests on it.

        Raises UsageError for an attempt that nothing is known of.
        """
        if self._bank.learnt_from(attempt) is None and self._ledger.receipt(attempt) is None:
            raise UsageError(f"there is no attempt {attempt!r} in {self.folder}; attempts are named RUN/NUMBER")
        revoked = self.hygiene.revoke(attempt, why)
        self.reflect(run=f"after revoking {attempt}")
        return revoked

    def rollback(self, point: str, why: str = "") -> list[Difference]:
        """Bring the base back to a point of its log, by number or by a snapshot's name; what that changed."""
        seq = self.timeline.point(point)
        with self._bank.transaction():
            moved = self.timeline.rollback(seq, why)
            self._bank.note(REFLECTED, "0")  # insights that are gone are distilled again
        self.embed_missing()
        return moved

    def embed_missing(self) -> int:
        """Embed what this embedding has not seen, and put again what is found by it; how many texts.

        It gets a line in the log, so that the index of every process sees that it can be found now.
        """
        return self._fill(self._embedding, again=True)

    def _fill(self, embedding: Embedding, *, again: bool) -> int:
        count = 0
        while rest := self._bank.vectors.missing(embedding.id, CHUNK):
            vectors = embedding.embed([text for _, text in rest])
            with self._bank.transaction():
                for (name, _), vector in zip(rest, vectors, strict=True):
                    self._bank.vectors.put(name, embedding.id, vector)
                if again:
                    for _, record in self._bank.found_by(name for name, _ in rest):
                        self._bank.touch(record, what="embed", why=embedding.id)
            count += len(rest)
        return count

    def _prepare(self, texts: Sequence[str]) -> None:
        """Let these texts have vectors before the records that are found by them are there."""
        named = {keyed(text): text for text in texts}
        known = self._bank.vectors.known(list(named), self._embedding.id)
        rest = [text for name, text in named.items() if name not in known]
        vectors = self._embedding.embed(rest)
        with self._bank.transaction():
            for text, vector in zip(rest, vectors, strict=True):
                self._bank.vectors.put(keyed(text), self._embedding.id, vector)

    # -- the whole base

    def export(self, folder: Path) -> Exported:
        """Write the base as text, to be read and reviewed; raises as `exporting.export` does."""
        return export(self._bank, folder)

    def merge_in(self, folder: Path) -> Imported:
        """Take in an export of another base; raises as `importing.import_` does."""
        done = import_(self._bank, self._ledger, self.timeline, folder, prepare=self._prepare)
        self.hygiene.break_rings(f"import {folder.name}")
        self.embed_missing()
        self.architectures.catch_up()
        return done

    def examine(self) -> list[Finding]:
        """Everything that is wrong with the base."""
        return examine(self._bank)

    def mend(self) -> list[str]:
        """Make what follows from the log again where it differs; what was wrong."""
        wrong = mend(self._bank)
        if wrong:
            self._retrieval.discard()
            self.reflect(run="after mending")
        self.embed_missing()
        return wrong

    def near_duplicates(self, threshold: float = NEARLY) -> list[list[str]]:
        """Groups of active records of one task and kind whose code (or text, without code) is nearly the same."""
        groups: dict[tuple[str, str], dict[str, str]] = {}
        for card in self._bank.with_status(ACTIVE):
            if card.kind not in {INSIGHT, GUIDE} and (experience := self._bank.get(card.id)):
                groups.setdefault((card.task, card.kind), {})[card.id] = experience.payload or experience.text
        return [names for texts in groups.values() for names in alike(dict(reversed(texts.items())), threshold)]

    def restore(self, records: Sequence[str], why: str) -> list[str]:
        """Let records be found again; those that were not."""
        restored = self.hygiene.restore(records, why)
        self.embed_missing()
        return restored

    def rebuild(self, embedding: str = "") -> int:
        """Build the index anew; with another embedding, or other weights, embed all first. How many were embedded.

        Killed on the way it leaves the old embedding in charge. Raises UsageError and ModelError as `open_embedding`
        and its embedding do.
        """
        name = embedding or self._named
        new, count = open_embedding(name), 0
        known = self._bank.meta(PROBE)
        if name != self._bank.meta(EMBEDDING) or not agrees(known, new):
            count = self._change(name, new)
        self._bank.log.append(BASE, "rebuild", f"embedding {name}")
        count += self.embed_missing()
        self._retrieval.discard()
        self._retrieval.catch_up()
        return count

    def _change(self, name: str, new: Embedding) -> int:
        """Of the same id with other weights all at once: vectors of the two are never to be compared."""
        if new.id == self._bank.meta(EMBEDDING_ID):
            with self._bank.transaction():
                self._bank.vectors.forget(new.id)
                count = self._fill(new, again=False)
                self._adopt(name, new)
            return count
        count = self._fill(new, again=False)
        shutil.rmtree(self.folder / INDEX, ignore_errors=True)
        with self._bank.transaction():
            self._bank.vectors.forget_others(new.id)
            self._adopt(name, new)
        return count
