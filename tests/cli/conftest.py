"""What all tests of commands share."""

import pytest

from archgrad.cli import main


@pytest.fixture
def refused(capsys):
    """The one line that a refused command leaves on standard error."""

    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            main(list(arguments))
        assert caught.value.code == 2
        said = capsys.readouterr().err
        assert said.startswith("archgrad: error: ")
        assert said.count("\n") == 1
        return said

    return run
