"""The words of a kernel: headers, flags, functions and annotations it may use, and names that it may not, with why."""

import re

HEADERS = frozenset(
    "assert float immintrin limits math omp stdalign stdbool stddef stdint stdlib string tgmath x86intrin "  # noqa: SIM905 - read as words
    "xmmintrin emmintrin pmmintrin tmmintrin smmintrin nmmintrin arm_neon arm_sve".split()
)
GIVEN = ("-O3", "-march=native", "-fopenmp")
"""The flags that seed and candidate are always built with; asking for them again changes nothing."""

FLAGS = (
    "-O2",
    "-O3",
    "-funroll-loops",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffast-math",
    "-mprefer-vector-width=256",
    "-mprefer-vector-width=512",
)
"""What a candidate may ask for in its first line, `// flags: …`; the baseline is then built with the same."""

DIRECTIVES = frozenset(
    {"define", "undef", "if", "ifdef", "ifndef", "elif", "else", "endif", "error", "include", "pragma"}
)
PRAGMAS = re.compile(r"\s*(omp\b|GCC\s+(unroll|ivdep)\b|STDC\b|once\b)")
ATTRIBUTES = frozenset(
    "aligned always_inline assume_aligned cold const flatten hot may_alias noinline nonnull packed pure target "  # noqa: SIM905 - read as words
    "unused vector_size".split()
)

_CLOCK = "reads a clock or waits; the judge keeps the time"
_FILES = "reaches for files or memory maps; a kernel works on its arguments alone"
_PROCESS = "controls processes; a kernel only computes"
_NETWORK = "speaks to the network"
_ANYWHERE = {
    "gettimeofday clock_gettime clock_nanosleep nanosleep usleep omp_get_wtime omp_get_wtick": _CLOCK,
    "openat creat fopen freopen fdopen pread pwrite mmap munmap mprotect mremap ioctl shm_open memfd_create printf "
    "fprintf sprintf puts putchar perror stdout stderr stdin unlink tmpfile": _FILES,
    "system popen execl execlp execle execv execvp execve execvpe fork vfork posix_spawn sigaction ptrace prctl "
    "syscall _exit _Exit quick_exit atexit at_quick_exit on_exit longjmp setjmp": _PROCESS,
    "dlopen dlsym dlmopen dladdr dl_iterate_phdr": "loads other code at run time",
    "socket recvfrom sendto": _NETWORK,
    "pthread_create thrd_create pthread_self pthread_detach": "starts threads; use OpenMP",
    "getenv setenv putenv unsetenv environ secure_getenv": "reads or changes the environment",
    "fesetround fesetenv feenableexcept _mm_setcsr _MM_SET_ROUNDING_MODE _MM_SET_FLUSH_ZERO_MODE "
    "_MM_SET_DENORMALS_ZERO_MODE __builtin_ia32_ldmxcsr": "changes the floating-point environment",
    "asm __asm __asm__": "is inline assembly, which may hide anything (.incbin, syscalls); use intrinsics",
    "extern": "declares something from elsewhere; a kernel needs its arguments alone",
    "__has_include __has_include_next __has_embed __COUNTER__ __TIME__ __DATE__ __FILE__ __BASE_FILE__": (
        "asks about the machine that compiles it"
    ),
}
_CALLED = {
    "clock time times sleep": _CLOCK,
    "open read write remove rename close": _FILES,
    "exec clone kill raise signal exit abort": _PROCESS,
    "connect bind listen accept send recv": _NETWORK,
}
FORBIDDEN = {name: reason for names, reason in _ANYWHERE.items() for name in names.split()}
"""Wherever the name stands."""
FORBIDDEN_CALLS = {name: reason for names, reason in _CALLED.items() for name in names.split()}
"""Everyday words: only as a call."""
CLOCKS = re.compile(r"_*(builtin_ia32_)?rdtscp?\w*")

KEYWORDS = frozenset(
    "if for while switch return sizeof do else _Alignof _Alignas _Generic _Static_assert _Pragma typeof __typeof__ "  # noqa: SIM905 - read as words
    "__attribute__ __attribute alignof alignas defined void char short int long float double signed unsigned _Bool "
    "bool const restrict volatile static inline int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t "
    "size_t ptrdiff_t".split()
)
_MATH = (
    "acos asin atan atan2 cbrt ceil copysign cos cosh erf erfc exp exp2 expm1 fabs fdim floor fma fmax fmin fmod "
    "hypot ldexp frexp log log10 log1p log2 nearbyint pow rint round lrint lround scalbn sin sinh sqrt tan tanh trunc"
)
FUNCTIONS = frozenset([name + suffix for name in _MATH.split() for suffix in ("", "f")]) | frozenset(
    "isnan isinf isfinite signbit abs labs llabs memcpy memmove memset malloc calloc aligned_alloc free assert "  # noqa: SIM905 - read as words
    "posix_memalign omp_get_thread_num omp_get_num_threads omp_get_max_threads omp_get_num_procs "
    "omp_in_parallel".split()
)
BUILTINS = re.compile(
    r"__builtin_(expect|assume_aligned|prefetch|unreachable|constant_p|clzl?l?|ctzl?l?|popcountl?l?|mem(cpy|move|set)|"
    r"alloca|shuffle|shufflevector|convertvector|inff?|nanf?|huge_valf?|fabsf?|fmaf?|sqrtf?|expf?|fmaxf?|fminf?|"
    r"copysignf?|floorf?|ceilf?|rintf?)"
)
INTRINSICS = re.compile(
    r"_mm\d*_\w+|_MM_(SHUFFLE|TRANSPOSE4_PS)|_cvt\w+|_k\w+_mask\d+\w*|_(load|store)_mask\d+|"
    r"_(pdep|pext|tzcnt|lzcnt|bzhi|blsr|blsi|andn|popcnt)_?u(32|64)|v\w+_[fsu](8|16|32|64)\w*|sv\w+_[fsub]\d*\w*"
)
"""x86 and Arm."""
