// task: kernels/conv2d
// why: Winograd F(2x2, 3x3), with plain edges
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void filter(const float *g, float *u)
{
    float t[4][3];
    for (int s = 0; s < 3; s++) {
        t[0][s] = g[s];
        t[1][s] = 0.5f * (g[s] + g[3 + s] + g[6 + s]);
        t[2][s] = 0.5f * (g[s] - g[3 + s] + g[6 + s]);
        t[3][s] = g[6 + s];
    }
    for (int r = 0; r < 4; r++) {
        u[4 * r] = t[r][0];
        u[4 * r + 1] = 0.5f * (t[r][0] + t[r][1] + t[r][2]);
        u[4 * r + 2] = 0.5f * (t[r][0] - t[r][1] + t[r][2]);
        u[4 * r + 3] = t[r][2];
    }
}

static void patch(const float *d, int64_t ld, float *v)
{
    float t[4][4];
    for (int s = 0; s < 4; s++) {
        t[0][s] = d[s] - d[2 * ld + s];
        t[1][s] = d[ld + s] + d[2 * ld + s];
        t[2][s] = d[2 * ld + s] - d[ld + s];
        t[3][s] = d[ld + s] - d[3 * ld + s];
    }
    for (int r = 0; r < 4; r++) {
        v[4 * r] = t[r][0] - t[r][2];
        v[4 * r + 1] = t[r][1] + t[r][2];
        v[4 * r + 2] = t[r][2] - t[r][1];
        v[4 * r + 3] = t[r][1] - t[r][3];
    }
}

static float direct(const float *image, const float *w, int64_t C, int64_t H, int64_t W, int64_t y, int64_t x)
{
    float acc = 0.0f;
    for (int64_t c = 0; c < C; c++)
        for (int r = 0; r < 3; r++)
            for (int s = 0; s < 3; s++) acc += image[(c * (H + 2) + y + r) * (W + 2) + x + s] * w[c * 9 + r * 3 + s];
    return acc;
}

void kernel(const float *image, const float *weight, float *out, int64_t C, int64_t F, int64_t H, int64_t W)
{
    float *u = malloc(F * C * 16 * sizeof *u), *v = malloc(C * 16 * sizeof *v);
    for (int64_t i = 0; i < F * C; i++) filter(weight + 9 * i, u + 16 * i);
    int64_t rows = H & ~(int64_t)1, columns = W & ~(int64_t)1;
    for (int64_t y = 0; y < rows; y += 2)
        for (int64_t x = 0; x < columns; x += 2) {
            for (int64_t c = 0; c < C; c++) patch(image + (c * (H + 2) + y) * (W + 2) + x, W + 2, v + 16 * c);
            for (int64_t f = 0; f < F; f++) {
                float m[16] = {0}, t[2][4];
                for (int64_t c = 0; c < C; c++)
                    for (int i = 0; i < 16; i++) m[i] += u[(f * C + c) * 16 + i] * v[16 * c + i];
                for (int s = 0; s < 4; s++) {
                    t[0][s] = m[s] + m[4 + s] + m[8 + s];
                    t[1][s] = m[4 + s] - m[8 + s] - m[12 + s];
                }
                for (int r = 0; r < 2; r++) {
                    out[(f * H + y + r) * W + x] = (float)(t[r][0] + t[r][1] + t[r][2]);
                    out[(f * H + y + r) * W + x + 1] = (float)(t[r][1] - t[r][2] - t[r][3]);
                }
            }
        }
    for (int64_t f = 0; f < F; f++)
        for (int64_t y = 0; y < H; y++)
            for (int64_t x = y < rows ? columns : 0; x < W; x++)
                out[(f * H + y) * W + x] = direct(image, weight + f * C * 9, C, H, W, y, x);
    free(u);
    free(v);
}
