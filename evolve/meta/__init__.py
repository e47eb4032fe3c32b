"""Meta-evolution: the loop in which memory architectures are the candidates."""
