comptime Input = ImmPointer[Float32, ImmUntrackedOrigin]
comptime Output = MutPointer[Float32, MutUntrackedOrigin]


@export("kernel")
def kernel(x: Input, y: Output, N: Int) abi("C"):
    var best = x[unsafe_offset=0]
    for i in range(1, N):
        best = max(best, x[unsafe_offset=i])
    y[unsafe_offset=0] = best
