"""scikit-learn faces of the searches."""

from archgrad.estimators.darts_regressor import DARTSRegressor

__all__ = ["DARTSRegressor"]
