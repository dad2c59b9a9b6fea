"""`DARTSRegressor`: laws in data, as a scikit-learn estimator."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, no_type_check

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from archgrad.checks import one_of, whole
from archgrad.discovery.discover import Discovery, Monitor, discover
from archgrad.discovery.equation import Columns, Equation, Equations, choose
from archgrad.discovery.plan import Plan
from archgrad.discovery.problem import LINKS, Problem
from archgrad.discovery.snap import FLOOR
from archgrad.estimators import redrawing, storage
from archgrad.estimators.options import (
    DEFAULT_PRIMITIVES,
    RELAXATIONS,
    SAMPLING_STRATEGIES,
    method,
    output_layer,
    settings,
)
from archgrad.estimators.targets import Targets, predictions, useful_columns
from archgrad.ops.symbolic import Primitive, primitive_of


def _has_probabilities(estimator: Any) -> bool:
    return estimator.output_type in ("class", "probability_distribution", "probability_sample")


class DARTSRegressor(RegressorMixin, BaseEstimator):
    """Find laws in a table: equations that predict y from the columns of X, by differentiable architecture search.

    An equation is y = c₀ + Σ_j c_j · node_j over a graph whose edges carry primitives (Eq. 1 to 3 of arXiv:1806.09055
    with expressions for operations). Candidates come from counting graphs where they can be counted, from a table of
    the shapes that laws have, and from gradient descent on logits (Eq. 4) with many restarts at once; every one is
    judged after its coefficients were fitted by Levenberg-Marquardt, on rows set aside. The best are made sparse and
    their coefficients simple, and `equations_` is the front of accuracy and complexity.

    Arguments:
        num_graph_nodes: nodes of the graphs of sums.
        primitives: what an edge may carry, names of `archgrad.ops.symbolic.PRIMITIVES` or `Primitive` objects. With
            "powered", there are also products of powers, and the table of laws.
        darts_type: the relaxation: "original" (softmax), "fair" (sigmoid with a zero-one loss) or "gumbel".
        strategy: "full", "enumeration" (counting and the table), "gradient", or "random" (the baseline).
        rounds: how often the table and the gradient search are gone through; None means until `time_limit`.
        time_limit: seconds after which the best law so far is taken; None sets no limit.
        target_loss: stop when a law's losses, relative to that of the constant, are below this on both parts.
        validation_fraction: the share of the rows that is set aside to judge.
        enumeration_limit: graphs of sums are enumerated while there are no more than this.
        restarts: architectures that a gradient search moves at once.
        max_epochs: epochs of a gradient search. 0 searches nothing: on a fitted estimator the architecture stays and
            its coefficients are fitted to the new data.
        arch_updates_per_epoch, arch_learning_rate_max, arch_weight_decay: Adam's steps on the logits in an epoch, their
            learning rate and decay.
        arch_weight_decay_base, arch_weight_decay_df: pressure on every operation, and on each in proportion to its
            number of coefficients (parsimony).
        fair_darts_loss_weight: weight of the zero-one loss, for "fair".
        param_updates_per_epoch, param_learning_rate_max, param_learning_rate_min, param_momentum, param_weight_decay,
        grad_clip, batch_size: the steps on the coefficients, with a cosine learning rate.
        train_classifier_coefficients, train_classifier_bias, classifier_weight_decay: whether the gradient search
            trains c_j and c₀ (else 1 and 0), and their decay. In the refit they are always fitted.
        init_weights_function: applied to the supernet's module before a gradient search.
        param_updates_for_sampled_model: Levenberg-Marquardt steps of a refit.
        sampling_strategy: "max" takes the best law; "sample" draws an architecture from the mixture and refits it.
        output_type: "real", "sigmoid", "probability", "probability_sample", "probability_distribution", "class".
        selection: how `equation_` is chosen: "best" (the simplest within a standard error of the most accurate),
            "accurate", or an index of `equations_`.
        execution_monitor: called with an `archgrad.discovery.DiscoveryProgress` after every piece of work.
        warm_start: let the laws of the last fit compete in the next.
        n_jobs: processes; the result does not depend on it.
        random_state: seed; equal seeds give equal laws, unless a time limit cuts in.

    Attributes:
        equations_: `Equations`, by ascending complexity; a list of them where there are several outputs.
        equation_: the chosen `Equation`, or a list.
        classes_: labels, for output_type="class".
        discoveries_: what was judged, and for how long, by output.
        n_features_in_, feature_names_in_: as everywhere in scikit-learn.

    >>> X = np.linspace(1, 3, 60)[:, None]
    >>> model = DARTSRegressor(random_state=0).fit(X, 3 * X[:, 0] ** 2)
    >>> model.sympy()
    3*x0**2

    Raises:
        ValueError: in `fit`, before any work, for a value that is not allowed or data that do not fit.
    """

    @no_type_check  # scikit-learn's constructors take whatever comes; `fit` is what checks
    def __init__(
        self,
        num_graph_nodes: int = 2,
        primitives: Sequence[str | Primitive] = DEFAULT_PRIMITIVES,
        darts_type: str = "original",
        *,
        strategy: str = "full",
        rounds: int | None = 1,
        time_limit: float | None = None,
        target_loss: float = 1e-16,
        validation_fraction: float = 0.2,
        enumeration_limit: int = 500,
        restarts: int = 64,
        max_epochs: int = 30,
        arch_updates_per_epoch: int = 5,
        arch_learning_rate_max: float = 0.05,
        arch_weight_decay: float = 1e-4,
        arch_weight_decay_base: float = 0.0,
        arch_weight_decay_df: float = 3e-4,
        fair_darts_loss_weight: float = 1.0,
        param_updates_per_epoch: int = 10,
        param_learning_rate_max: float = 0.05,
        param_learning_rate_min: float = 0.005,
        param_momentum: float = 0.9,
        param_weight_decay: float = 0.0,
        grad_clip: float = 5.0,
        batch_size: int = 64,
        train_classifier_coefficients: bool = True,
        train_classifier_bias: bool = True,
        classifier_weight_decay: float = 0.0,
        init_weights_function: Callable[[Any], None] | None = None,
        param_updates_for_sampled_model: int = 100,
        sampling_strategy: str = "max",
        output_type: str = "real",
        selection: str | int = "best",
        execution_monitor: Monitor | None = None,
        warm_start: bool = False,
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.num_graph_nodes = num_graph_nodes
        self.primitives = primitives
        self.darts_type = darts_type
        self.strategy = strategy
        self.rounds = rounds
        self.time_limit = time_limit
        self.target_loss = target_loss
        self.validation_fraction = validation_fraction
        self.enumeration_limit = enumeration_limit
        self.restarts = restarts
        self.max_epochs = max_epochs
        self.arch_updates_per_epoch = arch_updates_per_epoch
        self.arch_learning_rate_max = arch_learning_rate_max
        self.arch_weight_decay = arch_weight_decay
        self.arch_weight_decay_base = arch_weight_decay_base
        self.arch_weight_decay_df = arch_weight_decay_df
        self.fair_darts_loss_weight = fair_darts_loss_weight
        self.param_updates_per_epoch = param_updates_per_epoch
        self.param_learning_rate_max = param_learning_rate_max
        self.param_learning_rate_min = param_learning_rate_min
        self.param_momentum = param_momentum
        self.param_weight_decay = param_weight_decay
        self.grad_clip = grad_clip
        self.batch_size = batch_size
        self.train_classifier_coefficients = train_classifier_coefficients
        self.train_classifier_bias = train_classifier_bias
        self.classifier_weight_decay = classifier_weight_decay
        self.init_weights_function = init_weights_function
        self.param_updates_for_sampled_model = param_updates_for_sampled_model
        self.sampling_strategy = sampling_strategy
        self.output_type = output_type
        self.selection = selection
        self.execution_monitor = execution_monitor
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state

    n_features_in_: int

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.required = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "DARTSRegressor":
        """Find laws; with `max_epochs=0` on a fitted estimator, fit the coefficients of its architecture.

        X is a table [rows, columns] of finite numbers, NumPy or pandas, y [rows] or [rows, outputs]. Rows of weight
        zero count as absent.
        """
        if self.max_epochs == 0 and hasattr(self, "equations_"):
            if self.sampling_strategy == "sample":
                return self.sample_architecture(X, y, sample_weight)
            return self.best_architecture(X, y, sample_weight)
        plan = self._plan()
        table, targets, weights = self._checked(X, y, sample_weight, reset=True)
        known = redrawing.known_candidates(self) if self.warm_start and hasattr(self, "equations_") else {}
        self.plan_, self.targets_ = plan, targets
        self.names_ = self._names()
        self.discoveries_: list[Discovery] = []
        for output in targets.outputs:
            problem, columns = self._problem(table, targets, weights, output)
            self.discoveries_.append(
                discover(
                    problem,
                    columns,
                    plan,
                    n_jobs=effective_n_jobs(self.n_jobs),
                    monitor=self.execution_monitor,
                    known=known.get((output, columns), ()),
                )
            )
        self._settle(table, targets, weights)
        if self.sampling_strategy == "sample":
            return self.sample_architecture(X, y, sample_weight)
        return self

    def refit(self, X: Any, y: Any, sample_weight: Any = None) -> "DARTSRegressor":
        """Fit the coefficients of the chosen architecture to other data; exponents, and what is zero, stay."""
        return redrawing.refit_chosen(self, self._again(X, y, sample_weight))

    def sample_architecture(self, X: Any, y: Any, sample_weight: Any = None) -> "DARTSRegressor":
        """Draw an architecture from the mixture of a gradient search, and fit it; each call draws another one."""
        return redrawing.draw_architecture(self, self._again(X, y, sample_weight))

    def best_architecture(self, X: Any, y: Any, sample_weight: Any = None) -> "DARTSRegressor":
        """Return to the architecture that `fit` chose, and fit its coefficients to these data."""
        return redrawing.return_to_best(self, self._again(X, y, sample_weight))

    def predict(self, X: Any) -> Any:
        """Predict y; probabilities for the probability types, labels for "class"."""
        found = self._outputs(X)
        if self.targets_.labels is not None:
            return self.targets_.labels[found.argmax(axis=1)]
        return found

    @available_if(_has_probabilities)
    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities [rows, classes] or, of an outcome, [rows, 2]; for the output types that have them."""
        found = self._outputs(X)
        return np.column_stack([1.0 - found, found]) if self.output_type == "probability_sample" else found

    @available_if(_has_probabilities)
    def sample(self, X: Any, random_state: Any = None) -> np.ndarray:
        """Draw outcomes or labels from the predicted probabilities."""
        shares = self.predict_proba(X)
        draws = check_random_state(random_state).random_sample((len(shares), 1))
        drawn = (draws > shares.cumsum(axis=1)[:, :-1]).sum(axis=1)
        return drawn if self.targets_.labels is None else self.targets_.labels[drawn]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R² of the prediction; for "class" the share of labels that are right."""
        if self.output_type == "class":
            return float(np.average(self.predict(X) == np.asarray(y), weights=sample_weight))
        return float(super().score(X, y, sample_weight))

    def sympy(self, index: int | None = None) -> Any:
        """The chosen law, or that at `index` of the front, over symbols named like the columns; a list for several."""
        return self._each(lambda equation: equation.expression, index)

    def latex(self, index: int | None = None) -> Any:
        """The same in LaTeX."""
        return self._each(lambda equation: equation.latex, index)

    def numpy_function(self, index: int | None = None) -> Any:
        """The law as a function of a NumPy table [rows, columns]."""
        return self._each(lambda equation: equation, index)

    def torch_module(self, index: int | None = None) -> Any:
        """The law as a plain torch module."""
        return self._each(lambda equation: equation.torch_module(), index)

    def jax_source(self, index: int | None = None) -> Any:
        """The law as the source text of a function that JAX can trace."""
        return self._each(lambda equation: equation.source("jax"), index)

    def model_repr(self, index: int | None = None, *, output_format: str = "console") -> str:
        """The law as text, "console" or "latex"."""
        one_of("output_format", output_format, ("console", "latex"))
        written = self._each(lambda equation: equation.latex if output_format == "latex" else str(equation), index)
        return written if isinstance(written, str) else "\n".join(written)

    def visualize_model(self, index: int | None = None) -> Any:
        """Draw the graph of the law: a matplotlib figure, or a list of them."""
        from archgrad.report.expressions import draw_expression

        return self._each(
            lambda e: draw_expression(e.genotype, e.names, e.coefficients, primitives=e.primitives), index
        )

    def save(self, path: str | Path) -> None:
        """Write the fitted estimator to a JSON file, without pickle; functions among its arguments are left out."""
        check_is_fitted(self)
        storage.write(self, Path(path))

    @classmethod
    def load(cls, path: str | Path, *, primitives: Sequence[str | Primitive] = ()) -> "DARTSRegressor":
        """Read what `save` wrote; primitives of the user's own have to be given again."""
        return storage.read(cls, Path(path), primitives)

    def _plan(self, seed: int | None = None) -> Plan:
        """The arguments, checked, as a plan; the seed is drawn from `random_state` if it is not given."""
        one_of("darts_type", self.darts_type, RELAXATIONS)
        one_of("sampling_strategy", self.sampling_strategy, SAMPLING_STRATEGIES)
        whole("num_graph_nodes", self.num_graph_nodes, 1)
        whole("max_epochs", self.max_epochs, 0)
        whole("param_updates_for_sampled_model", self.param_updates_for_sampled_model, 1)
        if isinstance(self.primitives, str) or not isinstance(self.primitives, Sequence):
            raise ValueError(f"primitives: needs a list of names or Primitive objects, got {self.primitives!r}.")
        if not isinstance(self.selection, int):
            one_of("selection", self.selection, ("best", "accurate"))
        return Plan(
            primitives=tuple(primitive_of(choice) for choice in self.primitives),
            nodes=self.num_graph_nodes,
            strategy="enumeration" if (self.strategy, self.max_epochs) == ("full", 0) else self.strategy,
            rounds=self.rounds,
            time_limit=self.time_limit,
            target_loss=self.target_loss,
            validation_fraction=self.validation_fraction,
            enumeration_limit=self.enumeration_limit,
            restarts=self.restarts,
            settings=settings(self),
            method=method(self),
            output_layer=output_layer(self),
            seed=int(check_random_state(self.random_state).randint(2**31 - 1)) if seed is None else seed,
        )

    def _checked(self, X: Any, y: Any, sample_weight: Any, *, reset: bool) -> tuple[np.ndarray, Targets, np.ndarray]:
        if self.output_type == "class":
            table, labels = validate_data(self, X, y, reset=reset, dtype=np.float64, y_numeric=False)
            targets = Targets.of("class", np.asarray(labels))
            self.classes_ = targets.labels
        else:
            table, values = validate_data(self, X, y, reset=reset, dtype=np.float64, multi_output=True, y_numeric=True)
            targets = Targets.of(self.output_type, np.asarray(values, dtype=np.float64))
        if reset and not hasattr(self, "feature_names_in_") and hasattr(X, "columns"):
            # Tables of other kinds than scikit-learn's known frames have names too.
            self.feature_names_in_ = np.array([str(name) for name in X.columns], dtype=object)
        weights = _check_sample_weight(sample_weight, table, dtype=np.float64, ensure_non_negative=True)
        if not weights.any():
            raise ValueError("sample_weight: all weights are zero; at least one row needs a positive weight.")
        return np.asarray(table), targets, np.asarray(weights)

    def _again(self, X: Any, y: Any, sample_weight: Any) -> list[Problem]:
        """The problems that other data make, over the columns of the chosen equations."""
        check_is_fitted(self)
        table, targets, weights = self._checked(X, y, sample_weight, reset=False)
        if targets.values.shape[1] != self.targets_.values.shape[1]:
            raise ValueError(
                f"y: has {targets.values.shape[1]} outputs, but the estimator was fitted to "
                f"{self.targets_.values.shape[1]}."
            )
        self.targets_ = targets
        problems = []
        for output, equation in zip(targets.outputs, self._all_chosen(), strict=True):
            whole_problem = targets.problem(table, weights, output)
            inputs = np.ascontiguousarray(whole_problem.inputs[list(equation.columns)])
            problems.append(
                Problem(inputs, whole_problem.targets, whole_problem.weights, whole_problem.link, whole_problem.unit)
            )
        return problems

    def _names(self) -> tuple[str, ...]:
        names = getattr(self, "feature_names_in_", None)
        names = [f"x{place}" for place in range(self.n_features_in_)] if names is None else [str(n) for n in names]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"X: column names must differ, but {twice[0]!r} is there more than once.")
        return tuple(names)

    def _problem(
        self, table: np.ndarray, targets: Targets, weights: np.ndarray, output: int
    ) -> tuple[Problem, Columns]:
        return useful_columns(targets.problem(table, weights, output), self.names_, seed=self.plan_.seed)

    def _settle(self, table: np.ndarray, targets: Targets, weights: np.ndarray) -> None:
        """Set what the discoveries come to."""
        fronts = [discovery.equations for discovery in self.discoveries_]
        problems = [targets.problem(table, weights, output) for output in targets.outputs]
        chosen = [
            choose(front, self.selection, floor=FLOOR * problem.square)
            for front, problem in zip(fronts, problems, strict=True)
        ]
        self.constants_ = [float(LINKS[p.link].predict(np.array([p.constant]))[0]) for p in problems]
        self.draws_ = 0
        self._set(fronts, chosen)
        self.first_ = chosen

    def _set(self, fronts: Sequence[Equations], chosen: Sequence[Equation]) -> None:
        alone = len(fronts) == 1
        self.equations_ = fronts[0] if alone else list(fronts)
        self.equation_ = chosen[0] if alone else list(chosen)

    def _fronts(self) -> list[Equations]:
        return [self.equations_] if isinstance(self.equations_, Equations) else self.equations_

    def _all_chosen(self) -> list[Equation]:
        return [self.equation_] if isinstance(self.equation_, Equation) else self.equation_

    def _each(self, view: Callable[[Equation], Any], index: int | None) -> Any:
        check_is_fitted(self)
        picked = self._all_chosen() if index is None else [choose(f, index, floor=0.0) for f in self._fronts()]
        views = [view(equation) for equation in picked]
        return views[0] if len(views) == 1 else views

    def _outputs(self, X: Any) -> Any:
        check_is_fitted(self)
        table = validate_data(self, X, reset=False, dtype=np.float64)
        return predictions(self._all_chosen(), np.asarray(table), self.targets_, self.constants_)
