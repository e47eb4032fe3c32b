"""The plain memory architectures and the two of the kernel papers: each one's own mechanism at work."""

import math
from collections.abc import Mapping, Sequence

from knowledge.architecture import JSON, Event, Query, Record, Worth
from knowledge.design import built, seeds
from knowledge.replica import Replica, WorthOf, worthless
from knowledge.trial import Trial, no_model


def running(name: str, worth: WorthOf = worthless, **params: float) -> Trial:
    return Trial(built(seeds()[name]._replace(params=params)), Replica(worth=worth))


def said(trial: Trial, *texts: str, scope: str = "s1") -> None:
    for number, text in enumerate(texts):
        trial.ingest(Event(f"{scope}-{number}", "message", text, 60.0 * number, scope=scope))


def tried(number: int, technique: str, gain: float | None, *, state: str = "memory_bound", text: str = "") -> Event:
    data: dict[str, JSON] = {"task": "kernels/matmul", "stage": "refine", "state": state, "technique": technique}
    data |= {"feasible": gain is not None, "code": f"void f{number}(void);"}
    data |= {} if gain is None else {"gain": gain}
    return Event(f"a{number}", "attempt", text or f"{technique} on matmul, attempt {number}", 60.0 * number, data=data)


def found(trial: Trial, text: str, k: int = 10, **asked: str | Mapping[str, JSON]) -> list[str]:
    query = Query(text, 1e6, k=k)._replace(**asked)  # type: ignore[arg-type]
    return [hit.id for hit in trial.retrieve(query).hits]


def test_no_memory_keeps_nothing_and_returns_nothing() -> None:
    trial = running("none")
    said(trial, "I live in Lisbon", "I own two cats")
    assert len(trial.bank) == 0
    assert found(trial, "Who lives in Lisbon?") == []


def test_recent_gives_the_newest_first_whatever_is_asked() -> None:
    trial = running("recent")
    said(trial, "I live in Lisbon", "I own two cats", "It rains")
    assert found(trial, "Lisbon", k=2) == ["s1-2", "s1-1"]


def test_dense_orders_by_the_cosine_of_the_embedding_it_is_given() -> None:
    import numpy as np

    directions = {"north": (1.0, 0.0), "east": (0.0, 1.0), "which way is up": (0.8, 0.6)}
    trial = Trial(built(seeds()["dense"]), embed=lambda texts: np.array([directions[t] for t in texts], np.float32))
    said(trial, "east", "north")
    assert found(trial, "which way is up") == ["s1-1", "s1-0"]


def test_hybrid_finds_what_only_one_of_words_and_meaning_finds() -> None:
    import numpy as np

    def embed(texts: Sequence[str]) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
        alike = ("feline", "cat")
        return np.array([[1, 0] if any(w in t for w in alike) else [0, 1] for t in texts], np.float32)

    talk = ("My feline sleeps all day", "The cat food ran out", "We went to Oslo", "I like bread")
    trial = Trial(built(seeds()["hybrid"]), embed=embed)
    said(trial, *talk)
    assert set(found(trial, "cat", k=2)) == {"s1-0", "s1-1"}
    words_alone = running("hybrid", meaning=0.0)
    said(words_alone, *talk)
    assert found(words_alone, "cat") == ["s1-1"]


def test_a_weak_embedding_does_not_drown_the_words() -> None:
    import numpy as np

    trial = Trial(built(seeds()["hybrid"]), embed=lambda texts: np.ones((len(texts), 2), np.float32))
    said(trial, *(f"filler number {n}" for n in range(30)), "Melanie painted a sunrise")
    assert found(trial, "What did Melanie paint?", k=1) == ["s1-30"]


def test_window_finds_an_answer_by_the_words_of_the_turn_before_it() -> None:
    talk = ("Nice weather", "Where did you go on holiday?", "Tuscany, with my sister", "I baked bread", "So did we")
    trial, alone = running("window"), running("window", neighbour=0.0)
    for each in (trial, alone):
        said(each, *talk)
    assert found(trial, "holiday")[:3] == ["s1-1", "s1-0", "s1-2"]
    assert found(alone, "holiday") == ["s1-1"]


def test_a_window_does_not_reach_into_another_scope() -> None:
    trial = running("window")
    said(trial, "I sing", "Where did you go on holiday?", scope="s1")
    said(trial, "Tuscany", scope="s2")
    assert "s2-0" not in found(trial, "holiday")


def test_a_window_goes_on_in_a_scope_that_was_left() -> None:
    trial = running("window")
    talk = (("s1", "An apple"), ("s2", "A boat"), ("s1", "A cloud"))
    for number, (scope, text) in enumerate(talk):
        trial.ingest(Event(f"e{number}", "message", text, 60.0 * number, scope=scope))
    assert set(found(trial, "apple")) == {"e0", "e2"}


class TestEvoKernel:
    def test_without_values_similarity_alone_decides_every_time(self) -> None:
        trial = running("evokernel", epsilon=0.5)
        for number, technique in enumerate(("tile the loops", "unroll", "vectorise")):
            trial.ingest(tried(number, technique, 0.1))
        assert all(found(trial, "tile the loops", k=1, scope=f"{n}") == ["a0"] for n in range(5))

    def test_what_was_worth_more_at_this_stage_comes_first(self) -> None:
        q = {("a1", "draft"): 0.9, ("a2", "refine"): 0.9}

        def worth(record: Record, stage: str) -> Worth:
            known = q.get((record.id, stage))
            return Worth() if known is None else Worth(known, 3)

        trial = running("evokernel", worth, epsilon=0.0)
        for number in range(3):
            trial.ingest(tried(number, "tile", 0.1))
        assert found(trial, "tile on matmul", k=1, stage="draft") == ["a1"]
        assert found(trial, "tile on matmul", k=1, stage="refine") == ["a2"]

    def test_what_has_misled_comes_behind_what_is_unknown(self) -> None:
        trial = running("evokernel", lambda record, _: Worth(-0.5, 2) if record.id == "a0" else Worth(), epsilon=0.0)
        for number in range(3):
            trial.ingest(tried(number, "tile", 0.1, text="tile" if number == 0 else f"tile and more {number}"))
        assert found(trial, "tile", k=3)[-1] == "a0"

    def test_only_the_most_similar_are_in_the_pool(self) -> None:
        trial = running("evokernel", lambda record, _: Worth(1.0, 9) if record.id == "a9" else Worth(), pool=1.0)
        for number in range(10):
            trial.ingest(tried(number, "tile", 0.1, text="tile matmul" if number < 5 else "cooking pasta"))
        assert "a9" not in found(trial, "tile matmul", k=3)

    def test_now_and_then_chance_picks(self) -> None:
        trial = running("evokernel", lambda record, _: Worth(int(record.id[1:]) / 10, 5), epsilon=0.5)
        for number in range(6):
            trial.ingest(tried(number, "tile", 0.1))
        firsts = {trial.retrieve(Query("tile on matmul", float(now), k=2)).hits[0].id for now in range(40)}
        assert "a5" in firsts
        assert len(firsts) > 1

    def test_a_failure_is_kept_without_its_code_and_a_success_with_it(self) -> None:
        trial = running("evokernel")
        trial.ingest(tried(0, "tile", 0.1))
        trial.ingest(tried(1, "tile", None))
        kept = {record.kind: record.payload for record in trial.bank.iter()}
        assert kept == {"trace": "void f0(void);", "failure": ""}

    def test_a_model_says_what_a_failure_teaches(self) -> None:
        trial = Trial(built(seeds()["evokernel"]), ask=lambda *_: "Declare x first.")
        trial.ingest(tried(0, "tile", None))
        assert next(trial.bank.iter()).text.startswith("Declare x first.\n")

    def test_refining_keeps_room_for_the_same_bottleneck(self) -> None:
        trial = running("evokernel", matched=0.5, pool=1.0)
        for number in range(8):
            trial.ingest(tried(number, "tile matmul", 0.1, state="compute_bound"))
        trial.ingest(tried(8, "unroll softmax a little", 0.1, state="memory_bound"))
        where: Mapping[str, JSON] = {"state": "memory_bound"}
        assert "a8" not in found(trial, "tile matmul", k=4, stage="refine")
        assert "a8" in found(trial, "tile matmul a little", k=4, stage="refine", where=where)


class TestKernelBlaster:
    def told(self) -> Trial:
        trial = running("kernelblaster")
        gains = [("tile", 0.7), ("tile", 0.5), ("unroll", 0.05), ("unroll", 0.05), ("pack", None), ("pack", None)]
        for number, (technique, gain) in enumerate(gains):
            trial.ingest(tried(number, technique, gain))
        return trial

    def insight(self, trial: Trial, technique: str) -> Record:
        (record,) = trial.bank.iter(kind="insight", technique=technique)
        return record

    def test_an_insight_counts_tries_gains_and_failures(self) -> None:
        trial = self.told()
        tile, pack = self.insight(trial, "tile"), self.insight(trial, "pack")
        assert (tile.meta["n"], tile.meta["tries"], tile.meta["failures"]) == (2, 2, 0)
        assert tile.meta["total"] == 1.2
        assert tile.meta["expected"] == 0.6 * 2 / 4
        assert f"{math.exp(0.6):.3g}x" in tile.text
        assert (pack.meta["n"], pack.meta["failures"], pack.meta["expected"]) == (0, 2, 0)
        assert "2 of 2 tries failed" in pack.text
        assert tile.sources == ("a0", "a1")

    def test_a_chain_shares_its_gain_among_its_members(self) -> None:
        trial = running("kernelblaster")
        trial.ingest(tried(0, "tile + pack + seed", 0.8))
        for technique in ("tile", "pack"):
            meta = self.insight(trial, technique).meta
            assert isinstance(meta["total"], float)
            assert isinstance(meta["weight"], float)
            assert meta["total"] / meta["weight"] == 0.4

    def test_what_nobody_judged_counts_as_no_try(self) -> None:
        trial = running("kernelblaster")
        trial.ingest(tried(0, "tile", 0.8))
        for number, feasible in enumerate((None, "perhaps"), start=1):
            event = tried(number, "tile", None)
            trial.ingest(event._replace(data={**event.data, "feasible": feasible}))
        assert self.insight(trial, "tile").meta["tries"] == 1

    def test_what_helped_in_several_other_states_is_named_once(self) -> None:
        trial = running("kernelblaster")
        for number, state in enumerate(("memory_bound", "latency_bound", "compute_bound")):
            event = tried(number, "unroll" if number == 2 else "tile", 0.4 + number / 10)
            trial.ingest(event._replace(data={**event.data, "state": state}))
        text = next(record.text for record in trial.bank.iter(kind="gradient", state="compute_bound"))
        assert text.count("tile") == 1

    def test_the_text_of_a_state_says_what_to_try_next_and_is_rewritten(self) -> None:
        trial = self.told()
        (before,) = trial.bank.iter(kind="gradient")
        assert before.text.index("tile") < before.text.index("unroll") < before.text.index("Avoid pack")
        trial.ingest(tried(9, "vectorise", 2.0))
        (after,) = trial.bank.iter(kind="gradient")
        assert after.id == before.id
        assert after.text.startswith("When the bottleneck is memory_bound: try next vectorise")

    def test_it_names_what_helped_elsewhere_and_is_untried_here(self) -> None:
        trial = self.told()
        trial.ingest(tried(7, "unroll", 0.3, state="compute_bound"))
        (text,) = [record.text for record in trial.bank.iter(kind="gradient", state="compute_bound")]
        assert "Untried here, helped elsewhere: tile" in text

    def test_the_state_at_hand_comes_first_by_expected_gain_then_similar_attempts(self) -> None:
        trial = self.told()
        trial.ingest(tried(7, "fuse", 3.0, state="compute_bound"))
        hits = found(trial, "pack on matmul", where={"state": "memory_bound"})
        kinds = [(trial.bank.get(name) or Record("", "", ())) for name in hits]
        assert [record.kind for record in kinds[:4]] == ["gradient", "insight", "insight", "insight"]
        assert [record.meta["technique"] for record in kinds[1:4]] == ["fuse", "tile", "unroll"]
        assert "attempt" in {record.kind for record in kinds[4:]}

    def test_an_unknown_state_borrows_from_the_others(self) -> None:
        hits = found(self.told(), "anything", where={"state": "latency_bound"})
        assert hits[0] == self.insight(self.told(), "tile").id

    def test_a_question_without_a_state_is_answered_by_words(self) -> None:
        assert found(self.told(), "attempt 3", k=1) == ["a3"]

    def test_a_model_rewrites_the_text_but_not_the_numbers(self) -> None:
        trial = Trial(built(seeds()["kernelblaster"]), ask=lambda *_: "Tile again, wider.")
        trial.ingest(tried(0, "tile", 0.7))
        before = self.insight(trial, "tile")
        assert trial.tick(100.0)
        (gradient,) = trial.bank.iter(kind="gradient")
        assert gradient.text.endswith("Tile again, wider.")
        assert self.insight(trial, "tile") == before
        assert not trial.tick(200.0), "nothing is new"

    def test_a_thousand_techniques_with_names_of_their_own_stay_within_bounds(self) -> None:
        trial = running("kernelblaster")
        for number in range(300):
            trial.ingest(tried(number, " + ".join(f"t{number}-{n}" for n in range(8)), 0.1))
        assert len(trial.bank) <= 4 * 300

    def test_odd_gains_count_as_unknown(self) -> None:
        trial = running("kernelblaster")
        odd: list[JSON] = ["2x", [0.1], None]
        for number, gain in enumerate(odd):
            event = tried(number, "tile", 0.1)
            trial.ingest(event._replace(data={**event.data, "gain": gain}))
        assert self.insight(trial, "tile").meta["n"] == 0


def test_no_model_means_no_model() -> None:
    """The seeds above ran without one."""
    trial = Trial(built(seeds()["evokernel"]), ask=no_model)
    trial.ingest(tried(0, "tile", None))
    assert len(trial.bank) == 1
