"""archgrad: differentiable architecture search."""

from archgrad import (
    baselines,
    costs,
    data,
    genotype,
    language,
    methods,
    recipes,
    runs,
    segmentation,
    spaces,
    tabular,
    tasks,
)
from archgrad.arch import LogitGroup, Logits, Mixture
from archgrad.bilevel import Searcher, SearchResult, SearchState
from archgrad.citations import bibtex, citation
from archgrad.genotype import Genotype
from archgrad.image_search import search
from archgrad.loop import Callback, Diverged
from archgrad.methods import Method
from archgrad.recipes import DenseRecipe, LanguageRecipe, Recipe
from archgrad.settings import SearchSettings, SegmentationSearchSettings, TextSearchSettings
from archgrad.training import Score, evaluate, train

__version__ = "0.1.0"

__all__ = [
    "Callback",
    "DenseRecipe",
    "Diverged",
    "Genotype",
    "LanguageRecipe",
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
    "SegmentationSearchSettings",
    "TextSearchSettings",
    "baselines",
    "bibtex",
    "citation",
    "costs",
    "data",
    "evaluate",
    "genotype",
    "language",
    "methods",
    "recipes",
    "runs",
    "search",
    "segmentation",
    "spaces",
    "tabular",
    "tasks",
    "train",
]
