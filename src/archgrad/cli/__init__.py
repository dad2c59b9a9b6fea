"""The command line: `archgrad search | train | evaluate | show | demo | equation | bench | methods | cite`."""

import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import torch
import tyro

from archgrad.cli.commands import COMMANDS, SPACE_COMMANDS

INTERRUPTED = 130
PIPE_CLOSED = 141


def _read(arguments: Sequence[str]) -> Any:
    """The command that the words ask for; a space's name after a command's makes another command of it."""
    words = " ".join(arguments[:2])
    if words in SPACE_COMMANDS:
        return tyro.cli(SPACE_COMMANDS[words], args=arguments[2:], prog=f"archgrad {words}")
    return tyro.extras.subcommand_cli_from_dict(
        COMMANDS,
        args=arguments,
        prog="archgrad",
        description="Differentiable architecture search: find cells or equations by gradient descent, use them.",
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; errors of the user's are one line on standard error and exit code 2, Ctrl-C is exit code 130.

    A command that is interrupted may say by its exception's message what it leaves behind.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if list(arguments) == ["--version"]:
        print(f"archgrad {version('archgrad')}")
        return
    try:
        # Settings check themselves when they are made, which is while the command line is read.
        command = _read(arguments)
        command()
    except KeyboardInterrupt as interrupt:
        said = str(interrupt) or "interrupted; go on with --resume and the run folder named above."
        print(f"archgrad: {said}", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.exit(PIPE_CLOSED)  # by the reader of the output, such as `head`
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"archgrad: error: {error}", file=sys.stderr)
        sys.exit(2)
    except (MemoryError, RuntimeError) as error:
        if not _is_allocation(error):
            raise
        said = "not enough memory; lower the batch size, the size of the images, or that of the network"
        print(
            f"archgrad: error: {said} ({str(error).splitlines()[0] if str(error) else 'allocation failed'}).",
            file=sys.stderr,
        )
        sys.exit(2)


def _is_allocation(error: MemoryError | RuntimeError) -> bool:
    """Whether memory ran out: PyTorch says so of a GPU by a class of its own, of the CPU by a text."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "you tried to allocate" in str(error)
