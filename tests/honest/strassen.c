// task: kernels/matmul
// why: seven products of halves instead of eight, on matrices padded to even sizes
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void multiply(const float *a, const float *b, float *c, int64_t m, int64_t n, int64_t k)
{
    memset(c, 0, m * n * sizeof *c);
    for (int64_t i = 0; i < m; i++)
        for (int64_t p = 0; p < k; p++)
            for (int64_t j = 0; j < n; j++) c[i * n + j] += a[i * k + p] * b[p * n + j];
}

/* A quarter (row, column) of a rows x columns matrix, with `sign` times another quarter added. */
static void quarter(float *to, const float *from, int64_t rows, int64_t columns, int64_t h, int64_t w, int q, int r,
                    float sign)
{
    for (int64_t i = 0; i < h; i++)
        for (int64_t j = 0; j < w; j++) {
            int64_t y = i + (q >> 1) * h, x = j + (q & 1) * w, v = i + (r >> 1) * h, u = j + (r & 1) * w;
            float first = y < rows && x < columns ? from[y * columns + x] : 0.0f;
            float other = v < rows && u < columns ? from[v * columns + u] : 0.0f;
            to[i * w + j] = sign != 0.0f ? first + sign * other : first;
        }
}

static const struct {
    int left[2], right[2];
    float signs[2], into[4];
} steps[7] = {
    {{0, 3}, {0, 3}, {1, 1}, {1, 0, 0, 1}},   {{2, 3}, {0, 0}, {1, 0}, {0, 0, 1, -1}},
    {{0, 0}, {1, 3}, {0, -1}, {0, 1, 0, 1}},  {{3, 3}, {2, 0}, {0, -1}, {1, 0, 1, 0}},
    {{0, 1}, {3, 3}, {1, 0}, {-1, 1, 0, 0}},  {{2, 0}, {0, 1}, {-1, 1}, {0, 0, 0, 1}},
    {{1, 3}, {2, 3}, {-1, 1}, {1, 0, 0, 0}},
};

void kernel(const float *a, const float *b, float *out, int64_t M, int64_t N, int64_t K)
{
    int64_t m = (M + 1) / 2, n = (N + 1) / 2, k = (K + 1) / 2;
    float *left = malloc((m * k + k * n + m * n + M * N) * sizeof *left), *right = left + m * k;
    float *product = right + k * n, *sum = product + m * n;
    memset(sum, 0, M * N * sizeof *sum);
    for (int s = 0; s < 7; s++) {
        quarter(left, a, M, K, m, k, steps[s].left[0], steps[s].left[1], steps[s].signs[0]);
        quarter(right, b, K, N, k, n, steps[s].right[0], steps[s].right[1], steps[s].signs[1]);
        multiply(left, right, product, m, n, k);
        for (int q = 0; q < 4; q++)
            for (int64_t i = 0; i < m && i + (q >> 1) * m < M; i++)
                for (int64_t j = 0; j < n && j + (q & 1) * n < N; j++)
                    sum[(i + (q >> 1) * m) * N + j + (q & 1) * n] += steps[s].into[q] * product[i * n + j];
    }
    for (int64_t i = 0; i < M * N; i++) out[i] = sum[i];
    free(left);
}
