comptime Input = ImmPointer[Float32, ImmUntrackedOrigin]
comptime Output = MutPointer[Float32, MutUntrackedOrigin]


@export("kernel")
def kernel(a: Input, b: Input, y: Output, M: Int, N: Int, K: Int) abi("C"):
    for i in range(M):
        for j in range(N):
            var acc: Float32 = 0
            for p in range(K):
                acc += a[unsafe_offset=i * K + p] * b[unsafe_offset=p * N + j]
            y[unsafe_offset=i * N + j] = acc
