comptime Input = ImmPointer[Float32, ImmUntrackedOrigin]
comptime Output = MutPointer[Float32, MutUntrackedOrigin]


@export("kernel")
def kernel(a: Input, y: Output, M: Int, N: Int) abi("C"):
    for i in range(M):
        for j in range(N):
            y[unsafe_offset=j * M + i] = a[unsafe_offset=i * N + j]
