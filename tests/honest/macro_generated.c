// task: kernels/transpose
// why: macros write the functions
#include <stdint.h>

#define EDGE(name, size)                                                                              \
    static void name(const float *restrict a, float *restrict out, int64_t lda, int64_t ldo)          \
    {                                                                                                 \
        for (int j = 0; j < (size); j++)                                                              \
            for (int i = 0; i < (size); i++) out[j * ldo + i] = a[i * lda + j];                       \
    }
#define MIN(a, b) ((a) < (b) ? (a) : (b))

EDGE(whole, 16)
EDGE(small, 4)

void kernel(const float *a, float *out, int64_t M, int64_t N)
{
    int64_t i = 0, j = 0;
    for (i = 0; i + 16 <= M; i += 16)
        for (j = 0; j + 16 <= N; j += 16) whole(a + i * N + j, out + j * M + i, N, M);
    int64_t rows = M & ~(int64_t)15, columns = N & ~(int64_t)15;
    for (i = 0; i + 4 <= rows; i += 4)
        for (j = columns; j + 4 <= N; j += 4) small(a + i * N + j, out + j * M + i, N, M);
    for (i = 0; i < M; i++)
        for (j = i < rows ? columns + (N - columns) / 4 * 4 : 0; j < N; j++) out[j * M + i] = a[i * N + j];
    (void)MIN(i, j);
}
