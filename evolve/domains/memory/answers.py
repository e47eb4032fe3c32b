"""Answers that a model gives from what a memory recalled, and what they are worth: LoCoMo's token F1."""

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import lru_cache
from random import Random

from evolve.domains.memory.exam import Exam, Question, Sitting
from evolve.domains.memory.grading import MIDDLE, visible
from evolve.domains.memory.making import MULTI_HOP, OPEN_DOMAIN
from evolve.types import Message, Model, Prompt
from knowledge.architecture import CHARACTERS_PER_TOKEN

AT_ONCE = 4
"""Calls of the model."""
MOST_TOKENS = 256
ASKING = """Below is what a memory recalled of a conversation between two people, with the dates.

{recalled}

Question: {question}
Answer from the above in as few words as will do, taken from it where possible, and with nothing around them. Write
dates as 7 May 2023, and commas between several things."""
_ARTICLES = re.compile(r"\b(a|an|the|and)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def drawn(exams: Sequence[Exam], count: int, seed: int) -> list[tuple[int, ...]]:
    """Numbers of questions to be answered, for each exam; `count` in all, the same ones for the same seed."""
    every = [(number, place) for number, exam in enumerate(exams) for place in range(len(exam.questions))]
    taken = Random(f"{seed}/answers").sample(every, min(count, len(every)))
    return [tuple(sorted(place for other, place in taken if other == number)) for number in range(len(exams))]


def recalled(sitting: Sitting, place: int) -> str:
    """What is put in front of the model for a question: the records with their dates, 1,024 tokens without those."""
    found = sitting.replies[place].found
    if found.text is not None:
        return found.text[: MIDDLE * CHARACTERS_PER_TOKEN]
    lines = []
    for record, text in visible(found, sitting.bank, MIDDLE):
        times = [event.time for event in sitting.bank.events(record.sources)]
        lines.append(f"[{datetime.fromtimestamp(min(times), UTC):%d %B %Y}] {text}" if times else text)
    return "\n".join(dict.fromkeys(lines))


def answered(model: Model, asked: Sequence[tuple[Question, str]]) -> list[float]:
    """F1 of each answer from what was recalled, 0 to 1. Raises ModelError."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = [pool.submit(_answered, model, number, *pair) for number, pair in enumerate(asked)]
        try:
            return [job.result() for job in jobs]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _answered(model: Model, number: int, question: Question, context: str) -> float:
    text = ASKING.format(recalled=context or "(nothing)", question=question.query.text)
    prompt = Prompt(
        key=f"memory/{number}/answer",
        messages=(Message(role="user", content=text),),
        max_tokens=MOST_TOKENS,
        temperature=0.0,
    )
    return f1(question.category, question.answer, model.complete(prompt).text)


def f1(category: str, answer: str, said: str) -> float:
    """As LoCoMo scores (`task_eval/evaluation.py`): several things one by one, of an open answer the first part."""
    if category == MULTI_HOP:
        parts = [part.strip() for part in answer.split(",")]
        return sum(max(_overlap(part, other) for other in said.split(",")) for part in parts) / len(parts)
    return _overlap(answer.partition(";")[0] if category == OPEN_DOMAIN else answer, said)


def _overlap(answer: str, said: str) -> float:
    right, given = _words(answer), _words(said)
    common = (right & given).total()
    return 2 * common / (right.total() + given.total()) if common else 0.0


def _words(text: str) -> Counter[str]:
    plain = _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION))
    porter = _porter()
    return Counter(porter(word) for word in plain.split())


@lru_cache(maxsize=1)
def _porter() -> Callable[[str], str]:
    from snowballstemmer.porter_stemmer import PorterStemmer

    return lambda word: str(PorterStemmer().stemWord(word))  # one for each word: not safe from several threads
