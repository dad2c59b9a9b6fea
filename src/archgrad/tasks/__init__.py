"""What is learnt: losses and metrics."""

from archgrad.tasks.classification import Classification
from archgrad.tasks.regression import Regression
from archgrad.tasks.task import Carry, Evaluation, Forward, Task

__all__ = ["Carry", "Classification", "Evaluation", "Forward", "Regression", "Task"]
