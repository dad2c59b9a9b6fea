"""Networks that label every pixel: search, training, evaluation, and how much memory they need."""

from archgrad.segmentation.evaluation import Confusion, Views, evaluate, predict, probabilities
from archgrad.segmentation.memory import search_bytes, training_bytes
from archgrad.segmentation.search import PlannedSearch, plan_search, search
from archgrad.segmentation.training import SegmentationScore, class_weights, train

__all__ = [
    "Confusion",
    "PlannedSearch",
    "SegmentationScore",
    "Views",
    "class_weights",
    "evaluate",
    "plan_search",
    "predict",
    "probabilities",
    "search",
    "search_bytes",
    "train",
    "training_bytes",
]
