comptime Input = ImmPointer[Float32, ImmUntrackedOrigin]
comptime Output = MutPointer[Float32, MutUntrackedOrigin]


@export("kernel")
def kernel(a: Input, b: Input, y: Output, N: Int) abi("C"):
    var acc: Float32 = 0
    for i in range(N):
        acc += a[unsafe_offset=i] * b[unsafe_offset=i]
    y[unsafe_offset=0] = acc
