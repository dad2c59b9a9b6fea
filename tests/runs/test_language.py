"""A trained language model on disk predicts as the one in memory, and belongs to its vocabulary alone."""

import json

import pytest
import torch

from archgrad.data.text import Vocabulary
from archgrad.genotype import DARTS_V1_RECURRENT
from archgrad.runs import RunFolder, is_language_model, load_language_model, load_network, save_language_model
from archgrad.spaces import LSTMNetwork, RecurrentNetwork

WORDS = Vocabulary(("the", "cat", "sät", "<eos>", "<unk>"))
LETTERS = Vocabulary(("a", "b", " ", "\n", "<unk>"), "character")
SIZES = {"vocabulary_size": 5, "hidden_size": 4}
TOKENS = torch.tensor([[0, 3], [1, 2], [4, 0]])


@pytest.fixture(params=["recurrent", "lstm"])
def saved(request, tmp_path):
    """A network with random weights, the genotype of its cell, and the folder that it was written to."""
    torch.manual_seed(0)
    if request.param == "lstm":
        network, genotype = LSTMNetwork(**SIZES), None
    else:
        network, genotype = RecurrentNetwork(DARTS_V1_RECURRENT, **SIZES), DARTS_V1_RECURRENT
    for parameter in network.parameters():
        torch.nn.init.uniform_(parameter, -1.0, 1.0)
    save_language_model(RunFolder(tmp_path), network, WORDS, genotype=genotype, size={"hidden_size": 4})
    return network, genotype, tmp_path


def test_network_genotype_and_vocabulary_come_back(saved):
    network, genotype, path = saved
    loaded = load_language_model(path)
    expected = network.eval()(TOKENS)
    for found, wanted in zip(loaded.network(TOKENS), expected, strict=True):
        assert torch.equal(found, wanted)
    assert type(loaded.network) is type(network)
    assert not loaded.network.training
    assert loaded.genotype == genotype
    assert loaded.vocabulary == WORDS


def test_embeddings_of_another_width_and_letters_come_back(tmp_path):
    size = {"hidden_size": 4, "embedding_size": 3, "tied": False}
    network = RecurrentNetwork(DARTS_V1_RECURRENT, vocabulary_size=5, **size)
    save_language_model(RunFolder(tmp_path), network, LETTERS, genotype=DARTS_V1_RECURRENT, size=size)
    loaded = load_language_model(tmp_path)
    assert torch.equal(loaded.network(TOKENS).scores, network(TOKENS).scores)
    assert loaded.vocabulary == LETTERS


def test_a_language_model_is_known_by_its_vocabulary(saved, tmp_path_factory):
    _, _, path = saved
    assert is_language_model(path)
    assert is_language_model(str(path))
    other = tmp_path_factory.mktemp("empty")
    assert not is_language_model(other)
    assert not is_language_model(other / "missing")


@pytest.mark.parametrize("name", ["network.json", "network.safetensors", "vocabulary.json"])
def test_missing_files_are_named(saved, name):
    _, _, path = saved
    (path / name).unlink()
    with pytest.raises(FileNotFoundError, match=rf"{path}: holds no trained language model, {name} is missing"):
        load_language_model(path)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere: holds no trained language model"):
        load_language_model(tmp_path / "nowhere")


def test_truncated_weights_are_refused(saved):
    _, _, path = saved
    weights = path / "network.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ValueError, match=rf"{path}: .*do not fit together"):
        load_language_model(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "network.json: not JSON"), ("[]", "do not fit together"), ("{}", "do not fit together")],
)
def test_a_broken_description_is_refused(saved, content, message):
    _, _, path = saved
    (path / "network.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        load_language_model(path)


@pytest.mark.parametrize("content", ["{", "{}", '"text"', "[]"])
def test_a_broken_vocabulary_is_refused(saved, content):
    _, _, path = saved
    (path / "vocabulary.json").write_text(content)
    with pytest.raises(ValueError, match="vocabulary: not"):
        load_language_model(path)


@pytest.mark.parametrize(
    "other",
    [
        Vocabulary(("the", "cut", "sät", "<eos>", "<unk>")),
        Vocabulary(("cat", "the", "sät", "<eos>", "<unk>")),
        Vocabulary((*WORDS.tokens, "dog")),
        LETTERS,
    ],
    ids=["word", "order", "size", "level"],
)
def test_the_vocabulary_of_another_run_is_refused(saved, other):
    _, _, path = saved
    (path / "vocabulary.json").write_text(other.to_json())
    with pytest.raises(ValueError, match=r"vocabulary\.json is not the vocabulary that the network was trained with"):
        load_language_model(path)


def test_weights_of_another_size_are_refused(saved):
    _, _, path = saved
    description = json.loads((path / "network.json").read_text())
    for size in ({"hidden_size": 5}, {"hidden": 4}, {}):
        (path / "network.json").write_text(json.dumps({**description, "size": size}))
        with pytest.raises(ValueError, match=rf"{path}: network\.json and network\.safetensors do not fit together"):
            load_language_model(path)


def test_a_language_model_is_no_classifier(saved):
    _, _, path = saved
    with pytest.raises(ValueError, match=r"do not fit together|belongs to the space 'recurrent_cell'"):
        load_network(path)
