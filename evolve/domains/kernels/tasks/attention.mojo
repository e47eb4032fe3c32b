from std.math import exp, sqrt

comptime Input = ImmPointer[Float32, ImmUntrackedOrigin]
comptime Output = MutPointer[Float32, MutUntrackedOrigin]


@export("kernel")
def kernel(q: Input, k: Input, v: Input, y: Output, N: Int, D: Int) abi("C"):
    var scale = 1 / sqrt(Float32(D))
    var score = List[Float32](length=N, fill=0)
    for i in range(N):
        var largest = Float32.MIN
        for j in range(N):
            var acc: Float32 = 0
            for d in range(D):
                acc += q[unsafe_offset=i * D + d] * k[unsafe_offset=j * D + d]
            score[j] = acc * scale
            largest = max(largest, score[j])
        var total: Float32 = 0
        for j in range(N):
            score[j] = exp(score[j] - largest)
            total += score[j]
        for d in range(D):
            var acc: Float32 = 0
            for j in range(N):
                acc += score[j] * v[unsafe_offset=j * D + d]
            y[unsafe_offset=i * D + d] = acc / total
