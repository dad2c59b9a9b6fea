"""The comparison of `archgrad demo trellis` over seeds: found, random and known paths, all with the found cell.

    python benchmarks/segmentation.py --seeds 0 1 2 --out runs/trellis [options of `archgrad demo trellis`]
    python benchmarks/segmentation.py --data $ARCHGRAD_DATA/camvid --image-size 90 120 …

Two seeds at a time with one thread each. Mean IoU on the test images, in %.
"""

from side_by_side import compare, spread

from archgrad.spaces.trellis import PATHS

COLUMNS = ("seed", "found", "random, mean ± std", "random, best", *PATHS)
HEADER = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}"


def row(shares: dict[str, float]) -> str:
    """What a seed came to."""
    percent = {name: 100 * share for name, share in shares.items()}
    random = [score for name, score in percent.items() if name.startswith("random")]
    known = " | ".join(f"{percent[name]:.2f}" for name in PATHS)
    return f"{percent['found']:.2f} | {spread(random, '.2f')} | {max(random):.2f} | {known}"


if __name__ == "__main__":
    compare("trellis", "mean_iou", header=HEADER, row=row, description=__doc__ or "")
