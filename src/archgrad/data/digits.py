"""The handwritten digits that come with scikit-learn: 1,797 grey images of 8×8 pixels, nothing to download."""

import numpy as np
from sklearn.datasets import load_digits

from archgrad.data.images import ImageData, from_arrays
from archgrad.data.split import stratified_split


def digits(*, test_fraction: float = 0.2, seed: int = 0) -> tuple[ImageData, ImageData]:
    """Read the digits and split them, stratified, into training and test data.

    Arguments:
        test_fraction: share of the test data in every class.
        seed: which split.

    Returns:
        Training and test data, uint8 [N, 1, 8, 8]; the original sixteenths are scaled to 0 … 255.

    Raises:
        ValueError: `test_fraction` outside (0, 1).

    >>> train, test = digits()
    >>> train.shape, len(train), len(test)
    ((1, 8, 8), 1438, 359)
    """
    sixteenths, labels = load_digits(return_X_y=True)
    pixels = np.rint(np.asarray(sixteenths) * (255 / 16)).astype(np.uint8)
    data = from_arrays(pixels.reshape(-1, 8, 8), labels)
    test, train = stratified_split(data.labels, test_fraction, seed=seed)
    return data.subset(train), data.subset(test)
