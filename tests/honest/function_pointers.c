// task: kernels/gelu
// why: tables of functions, callbacks, a typedef of a function
#include <math.h>
#include <stdint.h>

typedef float (*unary)(float);
typedef struct {
    unary apply;
    const char *name;
} stage;

static float gelu(float x) { return 0.5f * x * erfcf(x * -0.70710678f); }
static float same(float x) { return x; }
static const stage stages[] = {[1] = {.apply = gelu, .name = "gelu"}, [0] = {.apply = same, .name = "same"}};

static float through(unary first, float (*second)(float), float x) { return second(first(x)); }

void kernel(const float *x, float *out, int64_t N)
{
    unary start = stages[0].apply;
    for (int64_t i = 0; i < N; i++) out[i] = through(start, stages[1].apply, x[i]);
}
