// task: kernels/matmul
// why: panels of b packed into a static, aligned buffer, a register tile, a block-scope nested function
#include <stdint.h>

enum { MR = 4, NR = 16, MAX_K = 512 };
static _Alignas(64) float panel[MAX_K * NR];

void kernel(const float *a, const float *b, float *out, int64_t M, int64_t N, int64_t K)
{
    float dot(const float *row, const float *column) {
        float s = 0.0f;
        for (int64_t p = 0; p < K; p++) s += row[p] * column[p * N];
        return s;
    }
    int64_t j = 0;
    if (K <= MAX_K)
        for (; j + NR <= N; j += NR) {
            for (int64_t p = 0; p < K; p++)
                for (int l = 0; l < NR; l++) panel[p * NR + l] = b[p * N + j + l];
            int64_t i = 0;
            for (; i + MR <= M; i += MR) {
                float acc[MR][NR] = {{0}};
                for (int64_t p = 0; p < K; p++)
                    for (int r = 0; r < MR; r++)
                        for (int l = 0; l < NR; l++) acc[r][l] += a[(i + r) * K + p] * panel[p * NR + l];
                for (int r = 0; r < MR; r++)
                    for (int l = 0; l < NR; l++) out[(i + r) * N + j + l] = acc[r][l];
            }
            for (; i < M; i++)
                for (int l = 0; l < NR; l++) out[i * N + j + l] = dot(a + i * K, b + j + l);
        }
    for (int64_t i = 0; i < M; i++)
        for (int64_t l = j; l < N; l++) out[i * N + l] = dot(a + i * K, b + l);
}
