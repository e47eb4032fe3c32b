#include <math.h>
#include <stdint.h>

void kernel(const float *body, float *out, int64_t N)
{
    for (int64_t i = 0; i < N; i++) {
        float ax = 0.0f, ay = 0.0f, az = 0.0f;
        for (int64_t j = 0; j < N; j++) {
            float dx = body[j * 4] - body[i * 4];
            float dy = body[j * 4 + 1] - body[i * 4 + 1];
            float dz = body[j * 4 + 2] - body[i * 4 + 2];
            float r2 = dx * dx + dy * dy + dz * dz + 0.01f;
            float scale = body[j * 4 + 3] / (r2 * sqrtf(r2));
            ax += scale * dx;
            ay += scale * dy;
            az += scale * dz;
        }
        out[i * 3] = ax;
        out[i * 3 + 1] = ay;
        out[i * 3 + 2] = az;
    }
}
