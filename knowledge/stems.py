"""English stems of the words of a text: what two texts have in common, whatever the grammar around it."""

from collections import Counter
from functools import lru_cache

from knowledge.embed import words

FUNCTION_WORDS = frozenset(
    """about above after again against all am because been before being below between both but did do does doing don
    down during few further had has he her here hers herself him himself his how i just me more most my myself no nor
    not now off once only other our ours ourselves out over own s same she should some such t than theirs them
    themselves these they those through too under until very we were what who whom why yours yourself
    yourselves""".split()  # noqa: SIM905  a list of 80 literals is no easier to read
)
"""Words that hold a sentence together; in a question most of its words are such."""


def stems(text: str) -> list[str]:
    """In order, identifiers in their pieces, without words that say nothing by themselves."""
    return [stem(word) for word in words(text) if word not in FUNCTION_WORDS]


@lru_cache(maxsize=1 << 15)
def counted(text: str) -> Counter[str]:
    """Stems of a text and how often each is in it; only to be read."""
    return Counter(stems(text))


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    from snowballstemmer.english_stemmer import EnglishStemmer  # by name: the package prefers another when it is there

    return str(EnglishStemmer().stemWord(word))  # one for each word: a stemmer is not safe from several threads
