from std.math import sqrt

comptime Input = ImmPointer[Float32, ImmUntrackedOrigin]
comptime Output = MutPointer[Float32, MutUntrackedOrigin]


@export("kernel")
def kernel(x: Input, gamma: Input, y: Output, M: Int, N: Int) abi("C"):
    for i in range(M):
        var square: Float32 = 0
        for j in range(N):
            square += x[unsafe_offset=i * N + j] * x[unsafe_offset=i * N + j]
        var scale = 1 / sqrt(square / Float32(N) + 1e-5)
        for j in range(N):
            y[unsafe_offset=i * N + j] = x[unsafe_offset=i * N + j] * scale * gamma[unsafe_offset=j]
