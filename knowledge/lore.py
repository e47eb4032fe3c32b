"""Documents about a target, in passages that a writer can look things up in.

A passage is found by an exact name that it documents (EvoKernel looks up APIs so), or by meaning: words and vectors,
as experiences are found. What it was worth to earlier attempts plays no part: a reference is right whether or not the
attempt that read it was. Nothing is shown for want of a better passage.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from knowledge.embed import Embedding
from knowledge.embed import words as words_of
from knowledge.lexicon import LENGTH_WEIGHT, SATURATION
from knowledge.names import documented, in_code, in_words, only_code_has
from knowledge.passages import sections_of
from knowledge.postings import Postings
from knowledge.stems import counted, stem
from knowledge.values import z_scores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ALIKE = 0.3
"""Cosine from which on a passage that shares no word with what is asked is found by meaning."""
SHORTEST = 3
"""Letters of a word that leads to a passage: sizes and indices are in all of them."""
COMPLAINT = 2.0
"""Times that a name in words, such as a compiler's error, counts against one in the code."""
PLAIN = 0.5
"""What a name counts that might be a word or a variable, such as `max`."""
TELLING = 3
"""Names or words that say why a passage was found."""
ALWAYS = "always"
"""Why a passage is there whatever is asked."""


NEAR = 0.3
"""Of the best match, in units of the spread: what stands out less is shown to nobody."""


class Passage(NamedTuple):
    title: str
    text: str
    why: str
    """The name or the words by which it was found."""


class Lore:
    """Safe from several threads. The first look-up raises ModelError as the embedding does.

    A section of a document with the line `<!-- always -->` is shown whatever is asked.
    """

    def __init__(self, documents: Sequence[str], embedding: Embedding) -> None:
        sections = [section for document in documents for section in sections_of(document)]
        self.always = tuple(Passage(part.title, part.text, ALWAYS) for part in sections if part.always)
        self._parts = [part for part in sections if not part.always]
        self._embedding = embedding

    def look_up(self, code: Mapping[str, str], words: str, k: int = 4) -> list[Passage]:
        """What is shown always, then up to `k`: those found by name, half of them unless fewer are found by meaning.

        `code`: the program at hand and those that were recalled, by file name. `words`: what is asked for and what the
        judge said, the most telling first, since only so many words count.
        """
        asked = [word for word in words_of(words) if len(word) >= SHORTEST]
        names, alike = self._by_name(code, words), self._by_meaning(words, " ".join(asked))
        others = len(alike) - sum(place in names for place in alike)
        named = list(names)[: max(k // 2, k - others)]
        chosen = [*named, *(place for place in alike if place not in named)][:k]
        whys = {place: ", ".join(f"`{name}`" for name in names[place]) for place in named}
        return [
            *self.always,
            *(Passage(self._parts[n].title, self._parts[n].text, whys.get(n) or self._why(n, asked)) for n in chosen),
        ]

    def _by_name(self, code: Mapping[str, str], words: str) -> dict[int, list[str]]:
        """Passages that document a name which is asked for, with those names; the rarest name first.

        A name that more than half of them document says nothing.
        """
        asked = dict.fromkeys(in_code(code), 1.0) | dict.fromkeys(in_words(words), COMPLAINT)
        found: dict[int, list[tuple[float, str]]] = {}
        for name in asked.keys() & self._documented.keys():
            places = self._documented[name]
            if 2 * len(places) <= len(self._parts):
                worth = asked[name] * math.log(len(self._parts) / len(places))
                worth *= 1.0 if only_code_has(name) else PLAIN
                for place in places:
                    found.setdefault(place, []).append((-worth, name))
        best = {place: sorted(names)[:TELLING] for place, names in found.items()}
        order = sorted(best, key=lambda place: ([worth for worth, _ in best[place]], place))
        return {place: [name for _, name in best[place]] for place in order}

    def _by_meaning(self, words: str, asked: str) -> list[int]:
        """Passages that share words with what is asked or are alike; the best match first."""
        if not (self._parts and asked):
            return []
        scores = self._postings.scores(asked, SATURATION, LENGTH_WEIGHT)
        shared = [scores.get(place, 0.0) for place in range(len(self._parts))]
        similar = (self._matrix @ self._embedding.embed([words])[0]).tolist()
        fused = [2 * lexical + dense for lexical, dense in zip(z_scores(shared), z_scores(similar), strict=True)]
        least = NEAR * max(fused)
        fit = [
            place
            for place in range(len(self._parts))
            if fused[place] >= least and (shared[place] > 0 or similar[place] >= ALIKE)
        ]
        return sorted(fit, key=lambda place: (-fused[place], place))

    def _why(self, place: int, asked: Sequence[str]) -> str:
        """The rarest words of what is asked that the passage has."""
        there = counted(self._parts[place].whole)
        common = {stem(word): word for word in reversed(asked) if stem(word) in there}
        rarest = sorted(common, key=lambda word: (self._often[word], word))[:TELLING]
        return f"words: {', '.join(common[word] for word in rarest)}" if rarest else "alike in meaning"

    @cached_property
    def _documented(self) -> Mapping[str, Sequence[int]]:
        """By name, the passages that document it."""
        found: dict[str, list[int]] = {}
        for place, part in enumerate(self._parts):
            for name in documented(part.whole):
                found.setdefault(name, []).append(place)
        return found

    @cached_property
    def _postings(self) -> Postings:
        postings = Postings()
        for place, part in enumerate(self._parts):
            postings.put(place, part.whole)
        return postings

    @cached_property
    def _often(self) -> Counter[str]:
        """Passages that have a stem."""
        return Counter(word for part in self._parts for word in counted(part.whole))

    @cached_property
    def _matrix(self) -> "NDArray[np.float32]":
        return self._embedding.embed([part.whole for part in self._parts])
