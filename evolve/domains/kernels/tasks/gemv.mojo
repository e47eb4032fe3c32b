comptime Input = ImmPointer[Float32, ImmUntrackedOrigin]
comptime Output = MutPointer[Float32, MutUntrackedOrigin]


@export("kernel")
def kernel(a: Input, x: Input, y: Output, M: Int, K: Int) abi("C"):
    for i in range(M):
        var acc: Float32 = 0
        for p in range(K):
            acc += a[unsafe_offset=i * K + p] * x[unsafe_offset=p]
        y[unsafe_offset=i] = acc
