"""Images with a class for every pixel: where they come from, how they are augmented together and streamed."""

from archgrad.data.segmentation.augment import DenseAugmentation
from archgrad.data.segmentation.camvid import CAMVID_CLASSES, CAMVID_IGNORE, CAMVID_PALETTE
from archgrad.data.segmentation.folder import segmentation_folder
from archgrad.data.segmentation.labelled import IGNORE, SegmentationData, split
from archgrad.data.segmentation.load import SCENES, LoadedSegmentation, load_segmentation
from archgrad.data.segmentation.scenes import SCENE_CLASSES, SCENE_PALETTE, scenes
from archgrad.data.segmentation.stream import SegmentationStream

__all__ = [
    "CAMVID_CLASSES",
    "CAMVID_IGNORE",
    "CAMVID_PALETTE",
    "IGNORE",
    "SCENES",
    "SCENE_CLASSES",
    "SCENE_PALETTE",
    "DenseAugmentation",
    "LoadedSegmentation",
    "SegmentationData",
    "SegmentationStream",
    "load_segmentation",
    "scenes",
    "segmentation_folder",
    "split",
]
