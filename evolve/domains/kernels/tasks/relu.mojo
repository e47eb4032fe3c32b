comptime Input = ImmPointer[Float32, ImmUntrackedOrigin]
comptime Output = MutPointer[Float32, MutUntrackedOrigin]


@export("kernel")
def kernel(x: Input, y: Output, N: Int) abi("C"):
    for i in range(N):
        y[unsafe_offset=i] = max(x[unsafe_offset=i], 0)
