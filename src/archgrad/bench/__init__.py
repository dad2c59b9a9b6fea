"""Benchmarks: what a step of the supernet costs (`steps`), and which known equations are found (`equations`)."""

from archgrad.bench.equations import EquationBenchmarkSettings, run_equation_benchmark
from archgrad.bench.steps import BenchmarkSettings, run_benchmark

__all__ = ["BenchmarkSettings", "EquationBenchmarkSettings", "run_benchmark", "run_equation_benchmark"]
