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
PRAGMAS = re.compile(
    r"\s*(omp\b|GCC\s+(unroll|ivdep|novector|diagnostic|target|push_options|pop_options)\b|STDC\b|once\b)"
)
ATTRIBUTES = frozenset(
    "aligned always_inline artificial assume_aligned cold const fallthrough flatten gnu_inline hot leaf malloc "  # noqa: SIM905 - read as words
    "may_alias noclone noinline nonnull nothrow packed pure returns_nonnull simd target target_clones unused "
    "vector_size".split()
)

_CLOCK = "reads a clock or waits; the judge keeps the time"
_FILES = "reaches for files or memory maps; a kernel works on its arguments alone"
_PROCESS = "controls processes; a kernel only computes"
_NETWORK = "speaks to the network"
_MACHINE = "asks which machine it runs on; it is built for this one: use #ifdef __AVX2__ and the like"
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
    "extern": "declares something from elsewhere; a kernel needs its arguments alone",
    "__builtin_cpu_supports __builtin_cpu_is __builtin_cpu_init": _MACHINE,
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
    "if for while switch case return sizeof do else _Alignof _Alignas _Generic _Static_assert static_assert _Pragma "  # noqa: SIM905 - read as words
    "typeof __typeof__ __typeof __alignof__ alignof alignas offsetof defined __attribute__ __attribute asm __asm "
    "__asm__ volatile __volatile__ __volatile void char short int long float double signed unsigned _Bool bool const "
    "restrict __restrict __restrict__ static inline __inline__ int8_t int16_t int32_t int64_t uint8_t uint16_t "
    "uint32_t uint64_t size_t ptrdiff_t intptr_t uintptr_t INT64_C UINT64_C INT32_C UINT32_C _Float16 "
    "__int128".split()
)
_MATH = (
    "acos asin atan atan2 cbrt ceil copysign cos cosh erf erfc exp exp2 expm1 fabs fdim floor fma fmax fmin fmod "
    "hypot ldexp frexp log log10 log1p log2 nearbyint pow rint round lrint lround scalbn sin sinh sqrt tan tanh trunc"
)
FUNCTIONS = frozenset([name + suffix for name in _MATH.split() for suffix in ("", "f")]) | frozenset(
    "isnan isinf isfinite isnormal isless isgreater signbit abs labs llabs memcpy memmove memset memcmp memchr malloc "  # noqa: SIM905 - read as words
    "calloc realloc aligned_alloc posix_memalign alloca free qsort assert".split()
)
BUILTINS = re.compile(
    r"__builtin_(expect|expect_with_probability|assume_aligned|prefetch|unreachable|constant_p|choose_expr|"
    r"types_compatible_p|clzl?l?|ctzl?l?|ffsl?l?|parityl?l?|clrsbl?l?|popcountl?l?|bswap(16|32|64)|bitreverse\d+|"
    r"(add|sub|mul)_overflow|mem(cpy|move|set|cmp)|alloca(_with_align)?|shuffle|shufflevector|convertvector|"
    r"inff?|nanf?|huge_valf?|fabsf?|fmaf?|sqrtf?|expf?|logf?|powf?|fmaxf?|fminf?|copysignf?|"
    r"floorf?|ceilf?|rintf?|roundf?|truncf?|isnan|isinf|isfinite|signbitf?)|__(atomic|sync)_\w+|omp_\w+"
)
INTRINSICS = re.compile(
    r"__m\d+[dhi]?|_mm\d*_\w+|_MM_(SHUFFLE|TRANSPOSE4_PS)|_cvt\w+|_k\w+_mask\d+\w*|_(load|store)_mask\d+|"
    r"_(pdep|pext|tzcnt|lzcnt|bzhi|blsr|blsi|andn|popcnt)_?u(32|64)|v\w+_[fsu](8|16|32|64)\w*|sv\w+_[fsub]\d*\w*"
)
"""x86 and Arm."""

_ENTERS_THE_KERNEL = "enters the operating system; a kernel only computes"
_ELSEWHERE = "leaves the lines that can be seen here; jump to labels of the same asm, as in jnz 1b"
_ROUNDING = "changes the floating-point environment"
FORBIDDEN_INSTRUCTIONS = {
    name: reason
    for names, reason in {
        "syscall sysenter sysret int int3 into svc hvc": _ENTERS_THE_KERNEL,
        "rdtsc rdtscp rdpmc mrs umwait tpause": _CLOCK,
        "ldmxcsr vldmxcsr fldcw fldenv frstor fxrstor xrstor fninit finit msr": _ROUNDING,
        "call callq ret retq leave enter push pushq pop popq popf popfq iret blr br bl": _ELSEWHERE,
        "cpuid xgetbv rdpid sgdt sidt": _MACHINE,
        "wrfsbase wrgsbase wrpkru xbegin": "changes how the process sees its memory",
    }.items()
    for name in names.split()
}
"""Instructions with a reason of their own to be refused; `INSTRUCTIONS` lists what is not."""

_INTEGER = (
    "mov|movabs|lea|add|adcx?|adox|sub|sbb|imul|mulx?|idiv|div|inc|dec|neg|not|andn?|or|xor|shlx?|shrx?|sarx?|sal|rol|"
    "rorx?|shld|shrd|test|cmp|bt|bsf|bsr|tzcnt|lzcnt|popcnt|bswap|xchg|bextr|bzhi|blsi|blsr|blsmsk|pdep|pext"
)
INSTRUCTIONS = re.compile(
    rf"({_INTEGER})[bwlq]?|(cmov|set)[a-z]+|mov[sz][bwl]?[bwlqx]|cltq|cqto|cltd|cwtl|cdqe|nop[wl]?|pause|[lms]fence|"
    r"stos[bwlq]|movs[bwlq]|prefetch\w+|clflush\w*|"
    r"(mov|add|sub|mul|div|sqrt|rsqrt|rcp|max|min|and|andn|or|xor|cmp\w*|u?comi|shuf|blend|blendv|unpck[hl]|hadd|hsub|"
    r"addsub|round|dp|insert|extract|mova|movu|movh|movl|movhl|movlh|movnt|movmsk)[ps][sd]|movs[hl]dup|movddup|"
    r"mov(dqa|dqu|nti|ntdqa?|d|q)|lddqu|cvt\w+|"
    r"p(add|sub|mul|madd|min|max|and|or|xor|cmp|shuf|unpck|ack|s[lr][al]|blend|extr|insr|abs|sign|avg|sad|hadd|hsub|"
    r"mov|align|clmul|test)\w*|"
    r"v(?!err|erw|m(call|launch|resume|run|read|write|ptr|clear|x|func|save|load|mcall)|stmxcsr)\w+|"
    r"k(mov|and|andn|or|xor|xnor|not|shift[lr]|test|ortest|add|unpck)\w*|"
    r"f(add|sub|mul|div|mla|mls|madd|msub|max|min|abs|neg|sqrt|mov|cmp|cvt)\w*|ld[1-4pr]\w*|st[1-4pr]\w*|"
    r"prfm|dup|zip[12]|uzp[12]|trn[12]|ext|[us](dot|mull|mlal|add|sub)\w*|adds|subs|mla|mls|madd|ls[lr]|as[lr]|eor|orr"
)
"""Mnemonics (AT&T and Arm) that compute, load, store or prefetch, and nothing else."""
JUMPS = re.compile(r"j[a-z]+|loopn?e?|b|b\.[a-z]+|cbn?z|tbn?z")
PREFIXES = frozenset({"rep", "repe", "repne", "lock"})
