// task: kernels/transpose
// why: a static buffer holds each tile between reading it by rows and writing it by rows
#include <stdint.h>

enum { TILE = 32 };
static float tile[TILE][TILE + 1];

void kernel(const float *a, float *out, int64_t M, int64_t N)
{
    for (int64_t i0 = 0; i0 < M; i0 += TILE) {
        for (int64_t j0 = 0; j0 < N; j0 += TILE) {
            int64_t rows = M - i0 < TILE ? M - i0 : TILE, columns = N - j0 < TILE ? N - j0 : TILE;
            for (int64_t i = 0; i < rows; i++)
                for (int64_t j = 0; j < columns; j++) tile[j][i] = a[(i0 + i) * N + j0 + j];
            for (int64_t j = 0; j < columns; j++)
                for (int64_t i = 0; i < rows; i++) out[(j0 + j) * M + i0 + i] = tile[j][i];
        }
    }
}
