"""What is learnt: losses and metrics."""

from archgrad.tasks.classification import Classification
from archgrad.tasks.language import LanguageModelling, LanguageOutput
from archgrad.tasks.regression import Regression
from archgrad.tasks.segmentation import Segmentation
from archgrad.tasks.task import Batch, Carry, Evaluation, Forward, RateScaling, Task

__all__ = [
    "Batch",
    "Carry",
    "Classification",
    "Evaluation",
    "Forward",
    "LanguageModelling",
    "LanguageOutput",
    "RateScaling",
    "Regression",
    "Segmentation",
    "Task",
]
