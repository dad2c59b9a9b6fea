"""What an architecture costs: tables of parameters, multiply-adds and measured latency, and a penalty with a target.

    table = costs.parameters(space, channels=36, layers=20)         # or multiply_adds, or latency on this machine
    penalty = costs.CostPenalty(table=table, target=3e6, weight=1.0)
    method = dataclasses.replace(method, penalties=(*method.penalties, penalty))

Any method can be given the penalty, since it is added to the validation loss of the architecture step.
"""

from archgrad.costs.counts import multiply_adds, parameters
from archgrad.costs.latency import latency, median_milliseconds
from archgrad.costs.penalty import CostPenalty
from archgrad.costs.table import CostTable

__all__ = ["CostPenalty", "CostTable", "latency", "median_milliseconds", "multiply_adds", "parameters"]
