"""A trained language model in a run folder: weights as safetensors, its description as JSON, and its vocabulary."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archgrad.data.text import Vocabulary
from archgrad.files import write_atomically
from archgrad.genotype import Genotype
from archgrad.runs.folder import RunFolder
from archgrad.runs.weights import read_network, with_weights, write_network
from archgrad.spaces.recurrent import LSTMNetwork, RecurrentNetwork
from archgrad.spaces.recurrent.language import LanguageModel

VOCABULARY = "vocabulary.json"


@dataclass(frozen=True)
class SavedLanguageModel:
    """A language model with what is needed to use it; without a genotype it is an LSTM."""

    network: LanguageModel
    genotype: Genotype | None
    vocabulary: Vocabulary


def save_language_model(
    folder: RunFolder,
    network: LanguageModel,
    vocabulary: Vocabulary,
    *,
    genotype: Genotype | None,
    size: dict[str, Any],
) -> None:
    """Write a language model to a run folder; `size` is the keyword arguments that it was built with."""
    write_atomically(folder.path / VOCABULARY, vocabulary.to_json().encode())
    description = {
        "genotype": None if genotype is None else genotype.to_json(),
        "size": size,
        "vocabulary": vocabulary.digest,
    }
    write_network(folder, network, description)


def is_language_model(path: str | Path) -> bool:
    """Whether a run folder holds a language model."""
    return (Path(path).expanduser() / VOCABULARY).is_file()


def load_language_model(path: str | Path) -> SavedLanguageModel:
    """Read a language model that `save_language_model` wrote, in evaluation mode.

    Raises:
        FileNotFoundError: the folder holds no trained language model.
        ValueError: a file is broken, or weights, description and vocabulary do not belong together.
    """
    return read_network(path, _build, kind="language model", others=(VOCABULARY,))


def _build(folder: Path, description: dict[str, Any]) -> SavedLanguageModel:
    vocabulary = Vocabulary.from_json((folder / VOCABULARY).read_text())
    if description["vocabulary"] != vocabulary.digest:
        raise ValueError(f"{folder}: {VOCABULARY} is not the vocabulary that the network was trained with.")
    genotype = None if description["genotype"] is None else Genotype.from_json(description["genotype"])
    size = {"vocabulary_size": len(vocabulary), **description["size"]}
    network = LSTMNetwork(**size) if genotype is None else RecurrentNetwork(genotype, **size)
    return SavedLanguageModel(with_weights(network, folder), genotype, vocabulary)
