// task: kernels/matmul
// why: divide and conquer, oblivious of caches
#include <stdint.h>
#include <string.h>

typedef struct {
    const float *a, *b;
    float *c;
    int64_t lda, ldb, ldc;
} operands;

static void multiply(operands o, int64_t m, int64_t n, int64_t k)
{
    if (m <= 32 && n <= 64 && k <= 32) {
        for (int64_t i = 0; i < m; i++)
            for (int64_t p = 0; p < k; p++)
                for (int64_t j = 0; j < n; j++) o.c[i * o.ldc + j] += o.a[i * o.lda + p] * o.b[p * o.ldb + j];
        return;
    }
    operands second = o;
    if (m >= n && m >= k) {
        second.a += m / 2 * o.lda, second.c += m / 2 * o.ldc;
        multiply(o, m / 2, n, k);
        multiply(second, m - m / 2, n, k);
    } else if (n >= k) {
        second.b += n / 2, second.c += n / 2;
        multiply(o, m, n / 2, k);
        multiply(second, m, n - n / 2, k);
    } else {
        second.a += k / 2, second.b += k / 2 * o.ldb;
        multiply(o, m, n, k / 2);
        multiply(second, m, n, k - k / 2);
    }
}

void kernel(const float *a, const float *b, float *out, int64_t M, int64_t N, int64_t K)
{
    memset(out, 0, sizeof(float) * M * N);
    multiply((operands){.a = a, .b = b, .c = out, .lda = K, .ldb = N, .ldc = N}, M, N, K);
}
