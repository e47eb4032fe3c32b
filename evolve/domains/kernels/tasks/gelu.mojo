from std.math import erf

comptime Input = ImmPointer[Float32, ImmUntrackedOrigin]
comptime Output = MutPointer[Float32, MutUntrackedOrigin]


@export("kernel")
def kernel(x: Input, y: Output, N: Int) abi("C"):
    for i in range(N):
        y[unsafe_offset=i] = 0.5 * x[unsafe_offset=i] * (1 + erf(x[unsafe_offset=i] * 0.70710678))
