comptime Input = ImmPointer[Float32, ImmUntrackedOrigin]
comptime Output = MutPointer[Float32, MutUntrackedOrigin]


@export("kernel")
def kernel(alpha: Input, x: Input, z: Input, y: Output, N: Int) abi("C"):
    for i in range(N):
        y[unsafe_offset=i] = alpha[unsafe_offset=0] * x[unsafe_offset=i] + z[unsafe_offset=i]
