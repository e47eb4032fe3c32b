"""Source transformations: they parse, they compile, and they compute what the seed computed."""

import json
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.domains.kernels.transform import TECHNIQUES, mutations
from evolve.domains.kernels.transform.source import UnreadableError, parse, render

MATMUL = """
#include <stdint.h>
void kernel(const float *a, const float *b, float *out, int64_t M, int64_t N, int64_t K)
{
    /* three loops */
    for (int64_t i = 0; i < M; i++) {
        for (int64_t j = 0; j < N; j++) {
            float acc = 0.0f;
            for (int64_t p = 0; p < K; p++)
                acc += a[i * K + p] * b[p * N + j];
            out[i * N + j] = acc;
        }
    }
}
"""
ROWS = """
#include <math.h>
#include <stdint.h>
void kernel(const float *a, const float *b, float *out, int64_t M, int64_t N, int64_t K)
{
    for (int64_t i = 0; i < M; i++) {
        const float *row = a + i * K;
        float largest = row[0];
        float total = b[0] * 0.0f;
        for (int64_t p = 1; p < K; p++)
            if (row[p] > largest) largest = row[p]; // running maximum
        for (int64_t p = 0; p < K; p++)
            total += expf(row[p] - largest);
        for (int64_t j = 0; j < N; j++) {
            if (j >= K) continue;
            out[i * N + j] = expf(row[j] - largest) / total;
        }
    }
}
"""
TRANSPOSE = """
#include <stdint.h>
void kernel(const float *a, const float *b, float *out, int64_t M, int64_t N, int64_t K)
{
    for (int64_t i = 0; i < M; ++i)
        for (int64_t j = 0; j < N; ++j)
            out[i * N + j] = b[j % K * N + i % N] + a[i * K];
}
"""
IN_PLACE = """
#include <stdint.h>
void kernel(const float *a, const float *b, float *out, int64_t M, int64_t N, int64_t K)
{
    for (int64_t i = 0; i < M; i++) {
        for (int64_t j = 0; j < N; j++) {
            out[i * N + j] = b[j] * 2.0f;
            out[i * N + j] += 1.0f;
        }
        for (int64_t j = 0; j < N; j++)
            out[i * N + j] -= a[i * K];
        for (int64_t p = 0; p < K; p++)
            out[i * N] += a[i * K + p];
    }
}
"""
TILED = MATMUL.replace(
    "for (int64_t i = 0; i < M; i++) {",
    "for (int64_t t = 0; t < M; t += 8) { const int64_t count = M - t < 8 ? M - t : 8;\n"
    "for (int64_t u = 0; u < count; u++) { const int64_t i = t + u;",
).replace("        }\n    }\n}", "        }\n    } }\n}")
SEEDS = {
    "matmul": MATMUL,
    "rows": ROWS,
    "transpose": TRANSPOSE,
    "in_place": IN_PLACE,
    "tiled": TILED,
}
SUITABLE = {
    "restrict": "matmul",
    "alignment": "matmul",
    "accumulator_expansion": "matmul",
    "interchange": "transpose",
    "tiling": "transpose",
    "tile_separation": "tiled",
    "unroll": "transpose",
    "unroll_and_jam": "matmul",
    "packing": "matmul",
    "multiple_accumulators": "rows",
    "simd": "rows",
    "parallel": "rows",
    "vector_math": "rows",
    "hoisting": "rows",
    "scalar_replacement": "in_place",
    "fusion": "in_place",
    "distribution": "in_place",
}
SITES = 4
"""Sites of each technique that are compiled and compared."""

RUNNER = """
import ctypes, json, sys
import numpy as np
library = ctypes.CDLL(sys.argv[1])
verdicts = {}
for number, (seed, variant) in enumerate(json.loads(sys.argv[2])):
    worst = 0.0
    for m, n, k in ((1, 1, 1), (19, 37, 41), (33, 70, 64)):
        rng = np.random.default_rng(number)
        def aligned(count):
            raw = np.zeros(count + 32, np.float32)
            start = (-raw.ctypes.data // 4) % 16
            return raw[start : start + count]
        a, b = aligned(m * k), aligned(k * n)
        a[:], b[:] = rng.standard_normal(m * k), rng.standard_normal(k * n)
        outs = []
        for symbol in (seed, variant):
            out = aligned(m * n)
            out[:] = 7
            pointers = [ctypes.c_void_p(x.ctypes.data) for x in (a, b, out)]
            getattr(library, symbol)(*pointers, *map(ctypes.c_int64, (m, n, k)))
            outs.append(out.copy())
        worst = max(worst, float(np.max(np.abs(outs[0] - outs[1]) / (1e-3 + np.abs(outs[0]) + k**0.5 * 0.1))))
    verdicts[variant] = worst
print(json.dumps(verdicts))
"""


def _variants(technique: str) -> list[tuple[str, str]]:
    found = mutations(SEEDS[SUITABLE[technique]], Random(3))
    return list(islice(((detail, text) for name, detail, text in found if name == technique), SITES))


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """Largest scaled difference between seed and variant, by `technique_number`."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("needs gcc; install it with your system's package manager")
    folder = tmp_path_factory.mktemp("variants")
    pairs = []
    for name, seed in SEEDS.items():
        (folder / f"{name}.c").write_text(f"#define kernel seed_{name}\n{render(parse(seed))}")
        (folder / f"plain_{name}.c").write_text(f"#define kernel plain_{name}\n{seed}")
        pairs.append((f"plain_{name}", f"seed_{name}"))
    for technique in TECHNIQUES:
        for number, (_, text) in enumerate(_variants(technique)):
            symbol = f"{technique}_{number}"
            (folder / f"{symbol}.c").write_text(f"#define kernel {symbol}\n{text}")
            pairs.append((f"seed_{SUITABLE[technique]}", symbol))
    library = folder / "all.so"
    flags = ["-O2", "-march=native", "-fopenmp", "-Wall", "-Wno-unused-variable", "-Werror", "-shared", "-fPIC"]
    subprocess.run([compiler, *flags, "-o", str(library), *map(str, folder.glob("*.c")), "-lm"], check=True)
    return _compared(folder, library, pairs)


def _compared(folder: Path, library: Path, pairs: list[tuple[str, str]]) -> dict[str, float]:
    runner = folder / "runner.py"
    runner.write_text(RUNNER)
    command = [sys.executable, str(runner), str(library), json.dumps(pairs)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    found: dict[str, float] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("technique", sorted(TECHNIQUES))
def test_every_technique_has_sites_that_compute_what_the_seed_computed(
    technique: str, verdicts: dict[str, float]
) -> None:
    found = {name: worst for name, worst in verdicts.items() if name.rpartition("_")[0] == technique}
    assert found
    assert max(found.values()) < 1e-4, found


@pytest.mark.parametrize("seed", sorted(SEEDS))
def test_parsing_and_printing_keeps_the_meaning(seed: str, verdicts: dict[str, float]) -> None:
    assert verdicts[f"seed_{seed}"] == 0.0


@pytest.mark.parametrize(
    "source",
    [
        "#include <immintrin.h>\nvoid kernel(float *o) { __m512 x = _mm512_setzero_ps(); _mm512_storeu_ps(o, x); }",
        "void kernel(float *o) { __attribute__((aligned(64))) float b[4]; o[0] = b[0]; }",
        "#ifdef X\n#endif\nvoid kernel(void) { }",
        "void kernel(float *o { for",
        "not C at all",
        "",
    ],
)
def test_a_source_that_cannot_be_read_yields_nothing(source: str) -> None:
    assert list(mutations(source, Random(0))) == []


def test_conditional_compilation_is_named_as_the_reason() -> None:
    with pytest.raises(UnreadableError, match="ifdef"):
        parse("#ifdef X\n#endif\n")


@settings(deadline=None, max_examples=20)
@given(st.integers(), st.sampled_from(sorted(SEEDS)), st.integers(0, 10))
def test_the_same_randomness_gives_the_same_mutations(seed: int, name: str, skip: int) -> None:
    first, second = (list(islice(mutations(SEEDS[name], Random(seed)), skip, skip + 2)) for _ in range(2))
    assert first == second


@settings(deadline=None, max_examples=25)
@given(st.integers(), st.sampled_from(sorted(SEEDS)))
def test_what_was_printed_can_be_transformed_again_and_again(seed: int, name: str) -> None:
    rng, source = Random(seed), SEEDS[name]
    for _ in range(5):
        step = next(mutations(source, rng), None)
        if step is None:
            break
        source = step[2]
        assert render(parse(source)) == source


def test_no_mutation_is_offered_twice_and_none_is_the_seed() -> None:
    texts = [text for _, _, text in mutations(MATMUL, Random(1))]
    assert len(set(texts)) == len(texts)
    assert render(parse(MATMUL)) not in texts


def test_includes_and_inserted_functions_survive_further_rounds() -> None:
    first = next(text for name, _, text in mutations(ROWS, Random(0)) if name == "vector_math")
    second = next(text for name, _, text in mutations(first, Random(0)) if name == "parallel")
    assert second.startswith("#include <math.h>\n#include <stdint.h>\n")
    assert "float vec_expf(float x)\n{" in second
    assert "#pragma omp parallel for" in second


def test_threads_do_not_share_a_loop_whose_lanes_they_would_all_write() -> None:
    dot = MATMUL.replace("p * N + j", "j * K + p")
    lanes = next(text for name, _, text in mutations(dot, Random(0)) if name == "multiple_accumulators")
    body = lanes.replace("for (int64_t i = 0; i < M; i++)", "int64_t i = 0;").replace(
        "for (int64_t j = 0; j < N; j++)", "int64_t j = 0;"
    )
    assert [detail for name, detail, _ in mutations(body, Random(0)) if name == "parallel"] == []


def test_what_comes_between_collapsed_loops_ends_the_collapse() -> None:
    collapsed = next(text for name, detail, text in mutations(MATMUL, Random(0)) if "collapse" in detail)
    packed = [text for name, detail, text in mutations(collapsed, Random(0)) if detail.endswith("in front of j")]
    assert packed
    assert all("collapse" not in text for text in packed)
