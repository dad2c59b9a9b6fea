"""archgrad: differentiable architecture search."""

from archgrad import baselines, data, genotype, methods, recipes, runs, spaces, tasks
from archgrad.arch import LogitGroup, Logits, Mixture
from archgrad.bilevel import Searcher, SearchResult, SearchState, search
from archgrad.genotype import Genotype
from archgrad.loop import Callback, Diverged
from archgrad.methods import Method
from archgrad.recipes import Recipe
from archgrad.settings import SearchSettings
from archgrad.training import Score, evaluate, train

__version__ = "0.1.0"

__all__ = [
    "Callback",
    "Diverged",
    "Genotype",
    "LogitGroup",
    "Logits",
    "Method",
    "Mixture",
    "Recipe",
    "Score",
    "SearchResult",
    "SearchSettings",
    "SearchState",
    "Searcher",
    "baselines",
    "data",
    "evaluate",
    "genotype",
    "methods",
    "recipes",
    "runs",
    "search",
    "spaces",
    "tasks",
    "train",
]
