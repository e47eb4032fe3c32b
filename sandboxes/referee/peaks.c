/* Measures the arithmetic peak (fp32 multiply-add) and the bandwidth of a triad at several working sets.
 * Usage: peaks SECONDS; the number of threads is OpenMP's. Prints one JSON object.
 */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if defined(__AVX512F__)
enum { WIDTH = 64, CHAINS = 24 };
#elif defined(__AVX__)
enum { WIDTH = 32, CHAINS = 12 };
#else
enum { WIDTH = 16, CHAINS = 12 };
#endif
typedef float vector __attribute__((vector_size(WIDTH)));
enum { LANES = WIDTH / 4, ROUNDS = 1 << 14 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

static float multiply_add(void) {
    vector sums[CHAINS], a, b;
    for (int i = 0; i < LANES; i++) a[i] = 0.999f, b[i] = 0.001f;
    for (int c = 0; c < CHAINS; c++) sums[c] = a * (float)(c + 1);
    for (int r = 0; r < ROUNDS; r++) {
#pragma GCC unroll 24
        for (int c = 0; c < CHAINS; c++) sums[c] = sums[c] * a + b;
    }
    vector total = sums[0];
    for (int c = 1; c < CHAINS; c++) total += sums[c];
    return total[0];
}

static volatile float sink;

/* The best round counts: noise only ever slows. */
static double flops(double seconds) {
    double best = 0, end = now() + seconds;
    do {
        double start = now();
#pragma omp parallel
        sink = multiply_add();
        double rate = 2.0 * LANES * CHAINS * ROUNDS * omp_get_max_threads() / (now() - start);
        if (rate > best) best = rate;
    } while (now() < end);
    return best * 1e-9;
}

static double triad(float *restrict a, const float *restrict b, const float *restrict c, long count, double seconds) {
    double best = 0, end = now() + seconds;
    long repeats = 1 + (1 << 18) / count;
    do {
        double start = now();
#pragma omp parallel
        for (long r = 0; r < repeats; r++) {
#pragma omp for schedule(static) nowait
            for (long i = 0; i < count; i++) a[i] = b[i] + 3.0f * c[i];
            __asm__ volatile("" ::: "memory");
        }
        double rate = 12.0 * count * repeats / (now() - start);
        if (rate > best) best = rate;
    } while (now() < end);
    return best * 1e-9;
}

int main(int count, char **arguments) {
    const double mebibytes[] = {0.375, 1.5, 6, 24, 192};
    enum { SIZES = sizeof mebibytes / sizeof *mebibytes };
    double seconds = count > 1 ? atof(arguments[1]) : 1.0, slice = seconds / (2 * (SIZES + 1));
    int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    double alone = flops(slice);
    omp_set_num_threads(threads);
    printf("{\"flops_1t\": %.2f, \"flops\": %.2f, \"bandwidth\": [", alone, flops(slice));
    for (int s = 0; s < SIZES; s++) {
        long n = (long)(mebibytes[s] * 1048576 / 12) / 16 * 16;
        float *a = aligned_alloc(64, n * 4), *b = aligned_alloc(64, n * 4), *c = aligned_alloc(64, n * 4);
        if (!a || !b || !c) return 1;
#pragma omp parallel for schedule(static)
        for (long i = 0; i < n; i++) a[i] = 0, b[i] = 1, c[i] = 2;
        omp_set_num_threads(1);
        double one = triad(a, b, c, n, slice);
        omp_set_num_threads(threads);
        double all = triad(a, b, c, n, slice);
        printf("%s{\"mib\": %g, \"gbs_1t\": %.2f, \"gbs\": %.2f}", s ? ", " : "", mebibytes[s], one, all);
        free(a), free(b), free(c);
    }
    printf("]}\n");
    return 0;
}
