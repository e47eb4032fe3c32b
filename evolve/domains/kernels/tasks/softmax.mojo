from std.math import exp

comptime Input = ImmPointer[Float32, ImmUntrackedOrigin]
comptime Output = MutPointer[Float32, MutUntrackedOrigin]


@export("kernel")
def kernel(x: Input, y: Output, M: Int, N: Int) abi("C"):
    for i in range(M):
        var largest = x[unsafe_offset=i * N]
        for j in range(1, N):
            largest = max(largest, x[unsafe_offset=i * N + j])
        var total: Float32 = 0
        for j in range(N):
            y[unsafe_offset=i * N + j] = exp(x[unsafe_offset=i * N + j] - largest)
            total += y[unsafe_offset=i * N + j]
        for j in range(N):
            y[unsafe_offset=i * N + j] = y[unsafe_offset=i * N + j] / total
