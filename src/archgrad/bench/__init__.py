"""Benchmarks: what a step costs (`steps`, `recurrent`, `trellis`), and which equations are found (`equations`)."""

from archgrad.bench.equations import EquationBenchmarkSettings, run_equation_benchmark
from archgrad.bench.methods import MethodBenchmarkSettings, run_method_benchmark
from archgrad.bench.recurrent import RecurrentBenchmarkSettings, run_recurrent_benchmark
from archgrad.bench.steps import BenchmarkSettings, run_benchmark
from archgrad.bench.trellis import TrellisBenchmarkSettings, run_trellis_benchmark

__all__ = [
    "BenchmarkSettings",
    "EquationBenchmarkSettings",
    "MethodBenchmarkSettings",
    "RecurrentBenchmarkSettings",
    "TrellisBenchmarkSettings",
    "run_benchmark",
    "run_equation_benchmark",
    "run_method_benchmark",
    "run_recurrent_benchmark",
    "run_trellis_benchmark",
]
