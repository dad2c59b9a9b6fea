"""The run folder: configuration, metrics, genotypes, checkpoints, resumption, trained networks; and progress."""

from archgrad.runs.checkpoint import CheckpointError, read_checkpoint, write_checkpoint
from archgrad.runs.environment import environment
from archgrad.runs.folder import RunFolder, read_json, refuse_taken, write_json
from archgrad.runs.language import SavedLanguageModel, is_language_model, load_language_model, save_language_model
from archgrad.runs.network import SavedNetwork, load_network, save_network
from archgrad.runs.progress import progress
from archgrad.runs.recorder import CHECKPOINT_SECONDS, Recorder
from archgrad.runs.rounds import rounds
from archgrad.runs.segmentation import (
    SavedSegmentationNetwork,
    is_segmentation_network,
    load_segmentation_network,
    save_segmentation_network,
)

__all__ = [
    "CHECKPOINT_SECONDS",
    "CheckpointError",
    "Recorder",
    "RunFolder",
    "SavedLanguageModel",
    "SavedNetwork",
    "SavedSegmentationNetwork",
    "environment",
    "is_language_model",
    "is_segmentation_network",
    "load_language_model",
    "load_network",
    "load_segmentation_network",
    "progress",
    "read_checkpoint",
    "read_json",
    "refuse_taken",
    "rounds",
    "save_language_model",
    "save_network",
    "save_segmentation_network",
    "write_checkpoint",
    "write_json",
]
