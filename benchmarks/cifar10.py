"""A short search on real CIFAR-10 images, decoded, trained and compared with random cells: honest figures.

2,000 images train the weights and 2,000 the logits, C=8, 5 cells, 3 epochs; the found network and 5 random cells of its
size are trained on the 4,000 images for 5 epochs and tested on 2,000 test images.

python benchmarks/cifar10.py [options of archgrad demo]
"""

import os
import sys
from pathlib import Path

from archgrad.cli import main as archgrad

OPTIONS = (
    "--limit-train 4000 --limit-test 2000 --channels 8 --layers 5 --train-channels 16 --train-layers 5 --quiet "
    "--search.epochs 3 --search.augmentation.crop-padding 4 --search.augmentation.flip "
    "--recipe.epochs 5 --recipe.augmentation.crop-padding 4 --recipe.augmentation.flip"
)


def main() -> None:
    """Run `archgrad demo` with these settings; options given by the user come last and win."""
    folder = Path(os.environ.get("ARCHGRAD_DATA", "../shared/data")) / "cifar10"
    if not folder.exists():
        sys.exit(f"CIFAR-10 is not at {folder}: set ARCHGRAD_DATA to the folder that holds cifar10/.")
    archgrad(["demo", "--data", str(folder), *OPTIONS.split(), *sys.argv[1:]])


if __name__ == "__main__":
    main()
