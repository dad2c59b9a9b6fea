"""NAS-Bench-201's results as an object: what any of the 15,625 cells would have reached, without training it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from archgrad.checks import one_of
from archgrad.genotype import Genotype
from archgrad.loop import Record
from archgrad.spaces.nasbench201 import arch_string, parse
from archgrad.spaces.space import Decoder, Space
from archgrad.tabular import statistics
from archgrad.tabular.reading import (
    DATASETS,
    LATENCY_NAME,
    SPLITS,
    Combination,
    Content,
    column,
    find_table,
    read_latencies,
    read_table,
)
from archgrad.tabular.statistics import Optimum

INCUMBENTS = ("best", "current")
"""Whose regret: that of the best so far, or of what is current."""


class NASBench201Table:
    """The user's copy of the benchmark's results: accuracy, rank, size and latency by genotype, regret of searches.

    `NASBench201Table.load(path)` reads a CSV file, also compressed with xz, with one row for each architecture and the
    columns

    - `arch`: the architecture string (`archgrad.spaces.nasbench201.arch_string`);
    - `c10_test_200`, `c10_val_12`, … : accuracy in per cent, the mean over the seeds that the benchmark trained;
      c10, c100 and in16 are CIFAR-10, CIFAR-100 and ImageNet16-120, `val` and `test` the validation and test part,
      200 or 12 the epochs of the whole training. Columns may be missing: what is asked for decides what is needed;
    - `params_c10` and `flops_m_c10`: parameters, and millions of multiply-adds for an image of CIFAR-10.

    The results are published as NATS-Bench (github.com/D-X-Y/NATS-Bench, MIT licence); none are part of this library
    and none are downloaded. Latencies are an `.npz` file beside the table, an array of ms for each device in the order
    of its rows.

    `dataset`, `split` and `epochs` of the methods say which accuracy is meant; the default is the test accuracy on
    CIFAR-10 after 200 epochs, the one that papers report. Isomorphic architectures, which compute the same function,
    are not merged: each string has its own training, hence its own accuracy and rank, as in the benchmark.

    Reference: arXiv:2001.00326; arXiv:2009.00437 for the published files.
    """

    citation: ClassVar[str] = "2001.00326"

    def __init__(self, content: Content, latencies: dict[str, np.ndarray] | None = None) -> None:
        self._content = content
        self._latencies = latencies or {}
        self._places = {text: place for place, text in enumerate(content.architectures)}

    @classmethod
    def load(cls, path: str | Path, *, latency: str | Path | None = None) -> "NASBench201Table":
        """Read a table, and latencies if there are any.

        Arguments:
            path: the file, or a folder with `nasbench201.csv.xz` or `nasbench201.csv`.
            latency: the file of latencies; if not given, `nasbench201_latency_ms.npz` beside the table, if it is there.

        Raises:
            FileNotFoundError: a file is missing; the message says where the results are published.
            ValueError: the file is damaged, lacks a column, or does not have each architecture once.
        """
        file = find_table(Path(path))
        content = read_table(file)
        beside = file.with_name(LATENCY_NAME)
        found = Path(latency) if latency is not None else beside if beside.is_file() else None
        return cls(content, None if found is None else read_latencies(found, len(content.architectures)))

    def __len__(self) -> int:
        return len(self._content.architectures)

    def __repr__(self) -> str:
        return f"NASBench201Table({len(self)} architectures, {len(self._latencies)} devices)"

    @property
    def combinations(self) -> tuple[Combination, ...]:
        """The accuracies that the table has, as (dataset, split, epochs)."""
        return tuple(self._content.accuracies)

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices whose latencies are there."""
        return tuple(self._latencies)

    def genotypes(self) -> Iterator[Genotype]:
        """All genotypes, in the order of the rows."""
        return map(parse, self._content.architectures)

    def genotype(self, index: int) -> Genotype:
        """The genotype of a row, counted from 0: the benchmark's index, if the rows are in its order.

        Raises:
            ValueError: there is no such row.
        """
        if not 0 <= index < len(self):
            raise ValueError(f"index: must lie in 0 to {len(self) - 1}, got {index}.")
        return parse(self._content.architectures[index])

    def index(self, genotype: Genotype) -> int:
        """The row of a genotype, counted from 0.

        Raises:
            ValueError: the genotype is not one of this space.
        """
        return self._places[arch_string(genotype)]

    def accuracy(
        self, genotype: Genotype, dataset: str = "cifar10", *, split: str = "test", epochs: int = 200
    ) -> float:
        """The accuracy in per cent after a training of `epochs` epochs.

        Raises:
            ValueError: the genotype is not one of this space, or the table does not have this accuracy; the message
                says what it has.
        """
        return float(self._accuracies(dataset, split, epochs)[self.index(genotype)])

    def rank(self, genotype: Genotype, dataset: str = "cifar10", *, split: str = "test", epochs: int = 200) -> int:
        """The rank among all architectures, 1 for the best: one more than are better. Equal ones share the best rank.

        Raises:
            ValueError: see `accuracy`.
        """
        values = self._accuracies(dataset, split, epochs)
        return 1 + int((values > values[self.index(genotype)]).sum())

    def parameters(self, genotype: Genotype) -> int:
        """The parameters of the network for CIFAR-10.

        Raises:
            ValueError: the genotype is not one of this space.
        """
        return int(self._content.parameters[self.index(genotype)])

    def multiply_adds(self, genotype: Genotype) -> int:
        """The multiply-adds for an image of CIFAR-10: convolutions, and the classifier with its bias.

        Raises:
            ValueError: the genotype is not one of this space.
        """
        return round(float(self._content.multiply_adds[self.index(genotype)]) * 1e6)

    def latency(self, genotype: Genotype, device: str) -> float:
        """The latency in ms, as it was measured on a device.

        Raises:
            ValueError: the genotype is not one of this space, no latencies were read, or none of this device.
        """
        if not self._latencies:
            raise ValueError(f"device: no latencies were read; {LATENCY_NAME} must lie beside the table, or be given.")
        return float(self._latencies[one_of("device", device, self._latencies)][self.index(genotype)])

    def optimum(self, dataset: str = "cifar10", *, split: str = "test", epochs: int = 200) -> Optimum:
        """The best architecture and its accuracy; of equal ones that of the earlier row.

        Raises:
            ValueError: the table does not have this accuracy.
        """
        values = self._accuracies(dataset, split, epochs)
        return Optimum(self.genotype(int(values.argmax())), float(values.max()))

    def random_distribution(
        self, dataset: str = "cifar10", *, split: str = "test", epochs: int = 200
    ) -> Float[np.ndarray, " architectures"]:
        """The accuracies of all architectures, ascending: the exact distribution of one uniformly drawn architecture.

        Raises:
            ValueError: the table does not have this accuracy.
        """
        return np.sort(self._accuracies(dataset, split, epochs))

    def expected_best(
        self,
        count: int,
        dataset: str = "cifar10",
        *,
        split: str = "test",
        epochs: int = 200,
        chosen_by: tuple[str, int] | None = None,
    ) -> float:
        """The expected accuracy of the best of `count` uniform draws with replacement, exactly: random search.

        `chosen_by`, (split, epochs), is what the best is chosen by, on the same data set, such as ("validation", 12):
        a random search that sees no test accuracy. Without it the best is chosen by the accuracy itself, which no
        search can do. See `statistics.expected_best` for the formula.

        Raises:
            ValueError: `count` is below 1, or the table does not have one of the accuracies.
        """
        keys = None if chosen_by is None else self._accuracies(dataset, *chosen_by)
        return statistics.expected_best(self._accuracies(dataset, split, epochs), count, keys)

    def regret(
        self,
        genotypes: Sequence[Genotype],
        dataset: str = "cifar10",
        *,
        split: str = "test",
        epochs: int = 200,
        of: str = "best",
        scores: Sequence[float] | None = None,
    ) -> Float[np.ndarray, " genotypes"]:
        """How many per cent of accuracy a search is below the optimum, after each of its genotypes.

        Arguments:
            genotypes: what was evaluated, or what the search would have returned after each epoch, in order
                (`genotypes_of` decodes the history of a search).
            dataset, split, epochs: the accuracy that regret is measured in.
            of: "best" is the regret of the best genotype so far, "current" that of each genotype itself.
            scores: with "best", what the search itself knew: the best so far is the one with the highest score. Without
                them it is chosen by the accuracy that is reported, and the regret never grows.

        Raises:
            ValueError: `of` is unknown, scores are given with "current" or differ in number, a genotype is not one of
                this space, or the table does not have this accuracy.
        """
        if one_of("of", of, INCUMBENTS) == "current" and scores is not None:
            raise ValueError("scores: choose the best so far; they go with of='best' alone.")
        if scores is not None and len(scores) != len(genotypes):
            raise ValueError(f"scores: {len(scores)} of them for {len(genotypes)} genotypes.")
        values = self._accuracies(dataset, split, epochs)
        reached = values[[self.index(genotype) for genotype in genotypes]]
        if of == "best":
            reached = reached[statistics.incumbents(reached if scores is None else scores)]
        return values.max() - reached

    def search_curve(
        self,
        space: Space,
        history: Sequence[Record],
        decoder: Decoder,
        *,
        dataset: str = "cifar10",
        split: str = "test",
        epochs: int = 200,
    ) -> Float[np.ndarray, " epochs"]:
        """The accuracy of what a search would have returned after each of its epochs, from its history's mixtures.

        Raises:
            ValueError: a record has no mixture, the space is another one, or the table does not have this accuracy.
        """
        values = self._accuracies(dataset, split, epochs)
        return values[[self.index(genotype) for genotype in statistics.genotypes_of(space, history, decoder)]]

    def _accuracies(self, dataset: str, split: str, epochs: int) -> np.ndarray:
        one_of("dataset", dataset, DATASETS)
        one_of("split", split, SPLITS)
        return column(self._content.accuracies, Combination(dataset, split, epochs))
