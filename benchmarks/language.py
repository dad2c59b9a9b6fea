"""The comparison of `archgrad demo recurrent` over seeds: found cells, random cells and LSTMs, side by side.

    python benchmarks/language.py --seeds 0 1 2 --out runs/language [options of `archgrad demo recurrent`]

Two seeds at a time with one thread each.
"""

from side_by_side import compare, spread

HEADER = "| seed | found | random, mean ± std | random, best | LSTM |\n|---|---|---|---|---|"


def row(perplexities: dict[str, float]) -> str:
    """What a seed came to."""
    random = [score for name, score in perplexities.items() if name.startswith("random")]
    return f"{perplexities['found']:.2f} | {spread(random, '.2f')} | {min(random):.2f} | {perplexities['LSTM']:.2f}"


if __name__ == "__main__":
    compare("recurrent", "test_perplexity", header=HEADER, row=row, description=__doc__ or "")
