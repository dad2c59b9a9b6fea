"""Tables of benchmarks, read from the user's own copy: architectures are scored without any training."""

from archgrad.tabular.nasbench201 import NASBench201Table
from archgrad.tabular.statistics import Optimum, expected_best, genotypes_of

__all__ = ["NASBench201Table", "Optimum", "expected_best", "genotypes_of"]
