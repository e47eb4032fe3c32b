from std.math import exp

comptime Input = ImmPointer[Float32, ImmUntrackedOrigin]
comptime Output = MutPointer[Float32, MutUntrackedOrigin]


@export("kernel")
def kernel(a: Input, b: Input, y: Output, N: Int) abi("C"):
    for i in range(N):
        y[unsafe_offset=i] = a[unsafe_offset=i] / (1 + exp(-a[unsafe_offset=i])) * b[unsafe_offset=i]
