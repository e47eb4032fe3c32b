from std.math import sqrt

comptime Input = ImmPointer[Float32, ImmUntrackedOrigin]
comptime Output = MutPointer[Float32, MutUntrackedOrigin]


@export("kernel")
def kernel(x: Input, gamma: Input, beta: Input, y: Output, M: Int, N: Int) abi("C"):
    for i in range(M):
        var mean: Float32 = 0
        for j in range(N):
            mean += x[unsafe_offset=i * N + j]
        mean = mean / Float32(N)
        var variance: Float32 = 0
        for j in range(N):
            var centred = x[unsafe_offset=i * N + j] - mean
            variance += centred * centred
        var scale = 1 / sqrt(variance / Float32(N) + 1e-5)
        for j in range(N):
            y[unsafe_offset=i * N + j] = (x[unsafe_offset=i * N + j] - mean) * scale * gamma[unsafe_offset=j] + beta[unsafe_offset=j]
