"""Whether a method and a space go together, and the space as the method changes it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

from archgrad.arch import LogitGroup, operation_groups
from archgrad.methods.method import Method
from archgrad.spaces.space import Encodable, Mixable, Narrowable, Space
from archgrad.stages import Choices, starts


@runtime_checkable
class Checked(Protocol):
    """A part that fits some groups of logits only; `check` raises a ValueError for others."""

    def check(self, groups: Sequence[LogitGroup]) -> None: ...


def check_fit(method: Method, space: Space, *, epochs: int) -> None:
    """Raise a ValueError unless a method can search a space in so many epochs, all stages included."""
    if isinstance(space, Mixable):
        space.check_decoder(method.decoder)
    else:
        for part, wanted in (
            ("mixing", not method.mixing.plain),
            ("alignment", method.alignment is not None),
            ("freezing", method.freezing is not None),
        ):
            if wanted:
                raise ValueError(_only_cells(method, part, space))
    for penalty in method.penalties:
        if isinstance(penalty, Checked):
            penalty.check(space.groups)
    if method.selection is not None and not isinstance(space, Encodable):
        raise ValueError(_only_cells(method, "selection", space))
    if not method.stages:
        stage_space(method, space, 0, {})
        return
    if not isinstance(space, Narrowable):
        raise ValueError(_only_cells(method, "stages", space))
    starts(method.stages, epochs)
    most = max(len(names) for group in operation_groups(space.groups) for names in group.choices)
    for place, stage in enumerate(method.stages):
        if stage.keep is not None and stage.keep > most:
            raise ValueError(
                f"stages[{place}].keep: {stage.keep} operations per edge, but the space has {most} at most; "
                f"allowed is 1 to {most}."
            )
        stage_space(method, space, place, {})


def _only_cells(method: Method, part: str, space: Space) -> str:
    return (
        f"method: {method.name!r} has {part}, which the space {space.name!r} does not offer; convolutional cells and "
        f"NAS-Bench-201 do. Nearest valid methods: darts-first-order, snas, drnas, beta-darts."
    )


def stage_space(method: Method, space: Space, stage: int, choices: Choices) -> Space:
    """The space of a stage: with the method's mixing, the stage's changes of it, and the candidates that are left."""
    mixing, added = method.mixing, 0
    if method.stages:
        current = method.stages[stage]
        changes = {name: getattr(current, name) for name in ("partial_channels", "skip_dropout")}
        mixing = replace(mixing, **{name: value for name, value in changes.items() if value is not None})
        added = current.added_layers
    if isinstance(space, Mixable) and not mixing.plain:
        space = space.mixed(mixing)
    if choices or added:
        assert isinstance(space, Narrowable)
        space = space.narrowed(choices, layers=space.layers + added)
    return space
