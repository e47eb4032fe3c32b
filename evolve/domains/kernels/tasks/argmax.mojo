comptime Input = ImmPointer[Float32, ImmUntrackedOrigin]
comptime Output = MutPointer[Int32, MutUntrackedOrigin]


@export("kernel")
def kernel(x: Input, y: Output, M: Int, N: Int) abi("C"):
    for i in range(M):
        var best = 0
        for j in range(1, N):
            if x[unsafe_offset=i * N + j] > x[unsafe_offset=i * N + best]:
                best = j
        y[unsafe_offset=i] = Int32(best)
