"""Data: labelled images, where they come from, how they are split, augmented and streamed.

Images with a class for every pixel are in `segmentation`, texts in `text`.
"""

from archgrad.data import segmentation, text
from archgrad.data.archives import from_npz, npz_pair
from archgrad.data.augment import (
    CIFAR10_MEAN,
    CIFAR10_STD,
    IMAGENET_MEAN,
    IMAGENET_STD,
    Augmentation,
)
from archgrad.data.cifar10 import CIFAR10_CLASSES, cifar10
from archgrad.data.digits import digits
from archgrad.data.folder import image_folder, image_zip
from archgrad.data.images import ImageData, as_images, from_arrays
from archgrad.data.load import Loaded, load
from archgrad.data.split import halve, labels_of, stratified_split
from archgrad.data.stream import Batch, Stream, evaluation_batches

__all__ = [
    "CIFAR10_CLASSES",
    "CIFAR10_MEAN",
    "CIFAR10_STD",
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "Augmentation",
    "Batch",
    "ImageData",
    "Loaded",
    "Stream",
    "as_images",
    "cifar10",
    "digits",
    "evaluation_batches",
    "from_arrays",
    "from_npz",
    "halve",
    "image_folder",
    "image_zip",
    "labels_of",
    "load",
    "npz_pair",
    "segmentation",
    "stratified_split",
    "text",
]
