"""From a run folder of dense prediction to its pictures and its report."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from archgrad.data.segmentation import SegmentationData
from archgrad.genotype import Genotype
from archgrad.loop import Record
from archgrad.report import (
    Picture,
    Table,
    draw_class_iou,
    draw_comparison,
    draw_history,
    draw_predictions,
    draw_trellis,
    fallback_palette,
)
from archgrad.runs import RunFolder
from archgrad.segmentation import Confusion, SegmentationScore
from archgrad.spaces import TrellisSpace
from archgrad.spaces.trellis.plan import GROUP
from archgrad.summary import cell_pictures, last_metrics, save_pictures, search_curves, write_page

SHOWN = 6
"""How many images of the test set a report shows beside their predictions."""


@dataclass(frozen=True)
class SegmentationRow:
    """A network of a comparison: what it is called, its genotype, and what its training came to."""

    name: str
    genotype: Genotype
    confusion: Confusion
    parameters: int
    seconds: float


def report_segmentation_search(
    folder: RunFolder, space: TrellisSpace, history: Sequence[Record], *, genotype: Genotype
) -> None:
    """Write the pictures of a search and its report into the folder: cell, trellis with β and path, curves."""
    pictures = save_pictures(
        folder, {**cell_pictures(genotype), **_trellis(space, history, genotype), **_curves(space, history, genotype)}
    )
    summary = last_metrics(history[-1], ("loss", "accuracy"))
    title = "Search of a cell and its path"
    write_page(folder, title, summary, pictures=pictures, genotype=genotype, pictures_title="Pictures")


def report_segmentation_training(
    folder: RunFolder,
    score: SegmentationScore,
    *,
    genotype: Genotype,
    test: SegmentationData,
    predictions: torch.Tensor,
) -> None:
    """Write the curves of a training, predictions and IoU by class, and its report into the folder.

    `predictions` are the labels of the first images of the test set, as many as are to be shown.
    """
    assert score.confusion is not None
    found = score.confusion
    quantities = ("loss", "accuracy", "iou")
    pictures = save_pictures(
        folder,
        {
            **cell_pictures(genotype),
            "predictions": Picture("Input, prediction and truth", _predictions(test, predictions)),
            "classes": Picture("Intersection over union by class", draw_class_iou(found.iou.numpy(), found.classes)),
            "curves": Picture("Loss, pixel accuracy and mean IoU", draw_history(score.history, quantities)),
        },
    )
    summary = [
        ("mean IoU", f"{found.mean_iou:.2%}"),
        ("pixel accuracy", f"{found.accuracy:.2%}"),
        ("parameters", f"{score.parameters:,}"),
        ("seconds", f"{score.seconds:.1f}"),
    ]
    write_page(
        folder,
        "Dense prediction, trained from scratch",
        summary,
        pictures=pictures,
        genotype=genotype,
        tables=(class_table(found),),
        pictures_title="Pictures",
    )


def report_segmentation_comparison(
    folder: RunFolder,
    rows: Sequence[SegmentationRow],
    table: Sequence[tuple[str, str]],
    *,
    space: TrellisSpace,
    history: Sequence[Record],
) -> None:
    """Write the report of a whole job: the found path beside known and random ones with the same cell.

    Rows are the found network first, then the others; random ones have a name that begins with "random".
    """
    found, *others = rows
    random = [row for row in others if row.name.startswith("random")]
    known = [row for row in others if row not in random]
    comparison = draw_comparison(
        found.confusion.mean_iou,
        [row.confusion.mean_iou for row in random],
        metric="mean IoU",
        others={row.name: row.confusion.mean_iou for row in known},
    )
    by_class = draw_class_iou(
        found.confusion.iou.numpy(),
        found.confusion.classes,
        others={row.name: row.confusion.iou.numpy() for row in known},
    )
    pictures = save_pictures(
        folder,
        {
            **cell_pictures(found.genotype),
            "comparison": Picture("The found path beside random and known ones, all with the found cell", comparison),
            "classes": Picture("Intersection over union by class", by_class),
            **_trellis(space, history, found.genotype),
            **_curves(space, history, found.genotype),
        },
    )
    details = Table(
        "Networks",
        ("network", "mean IoU", "pixel accuracy", "parameters", "train seconds", "path"),
        [
            (
                row.name,
                f"{row.confusion.mean_iou:.2%}",
                f"{row.confusion.accuracy:.2%}",
                row.parameters,
                round(row.seconds, 1),
                " ".join(map(str, row.genotype.path)),
            )
            for row in rows
        ],
    )
    write_page(
        folder,
        "Search, training and baselines of a path",
        [(name, value) for name, value in table if name != "report"],
        pictures=pictures,
        tables=(details,),
        genotype=found.genotype,
        pictures_title="Pictures",
    )


def class_table(confusion: Confusion) -> Table:
    """IoU and accuracy of every class."""
    rows = zip(confusion.classes, confusion.iou.tolist(), confusion.class_accuracy.tolist(), strict=True)
    return Table(
        "Classes", ("class", "IoU", "accuracy"), [(name, _percent(iou), _percent(share)) for name, iou, share in rows]
    )


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2%}"


def _trellis(space: TrellisSpace, history: Sequence[Record], genotype: Genotype) -> dict[str, Picture]:
    weights = np.array(history[-1]["mixture"][GROUP])
    drawn = draw_trellis(genotype.path, mixture=weights, group=space.trellis.group, levels=space.levels)
    return {"trellis": Picture("β of every edge of the trellis, and the most probable path", drawn)}


def _curves(space: TrellisSpace, history: Sequence[Record], genotype: Genotype) -> dict[str, Picture]:
    return search_curves(space.groups, history, genotype=genotype)


def _predictions(test: SegmentationData, predictions: torch.Tensor):
    count = len(predictions)
    return draw_predictions(
        test.images[:count],
        test.masks[:count],
        predictions,
        classes=test.classes,
        palette=test.palette or fallback_palette(test.num_classes),
        ignore=test.ignore,
        errors=True,
    )
