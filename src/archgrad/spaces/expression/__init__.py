"""Expression graphs: laws as architectures, relaxed by the hundred, decoded, evaluated exactly, and written down."""

from archgrad.spaces.expression.graph import Graph
from archgrad.spaces.expression.laws import EXPRESSION, Law, laws
from archgrad.spaces.expression.network import ExpressionNetwork
from archgrad.spaces.expression.space import ExpressionSpace
from archgrad.spaces.expression.supernet import ExpressionSupernet

__all__ = ["EXPRESSION", "ExpressionNetwork", "ExpressionSpace", "ExpressionSupernet", "Graph", "Law", "laws"]
