"""Benchmarks: what a step of a supernet costs (`steps`, `recurrent`), which known equations are found (`equations`)."""

from archgrad.bench.equations import EquationBenchmarkSettings, run_equation_benchmark
from archgrad.bench.recurrent import RecurrentBenchmarkSettings, run_recurrent_benchmark
from archgrad.bench.steps import BenchmarkSettings, run_benchmark

__all__ = [
    "BenchmarkSettings",
    "EquationBenchmarkSettings",
    "RecurrentBenchmarkSettings",
    "run_benchmark",
    "run_equation_benchmark",
    "run_recurrent_benchmark",
]
