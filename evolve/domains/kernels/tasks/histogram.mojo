comptime Input = ImmPointer[UInt8, ImmUntrackedOrigin]
comptime Output = MutPointer[Int32, MutUntrackedOrigin]


@export("kernel")
def kernel(x: Input, y: Output, N: Int) abi("C"):
    for v in range(256):
        y[unsafe_offset=v] = 0
    for i in range(N):
        y[unsafe_offset=Int(x[unsafe_offset=i])] += 1
