"""Files that appear under their name complete or not at all, and JSON that says what it is."""

import json
import os
import secrets
from pathlib import Path
from typing import Any


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under another name in the same folder, then rename it: readers see the old file or the new one.

    Raises:
        OSError: nothing could be written (no space, no permission); the old file, if there is one, is untouched.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(error.errno, f"cannot write: {error.strerror}", str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def read_document(text: str, kind: str, *, format: str, version: int) -> dict[str, Any]:
    """Read a JSON object that names its `format` and its version, the newest of which is `version`.

    Raises:
        ValueError: the text is no JSON, of another format, or of a newer version; the message begins with `kind`.

    >>> read_document('{"format": "letters", "version": 2}', "alphabet", format="letters", version=1)
    Traceback (most recent call last):
    ...
    ValueError: alphabet: version 2 is newer than this archgrad reads (up to 1); upgrade archgrad.
    """
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{kind}: not JSON ({error}).") from error
    if not isinstance(document, dict) or document.get("format") != format:
        raise ValueError(f"{kind}: not a {kind} file, its 'format' is not {format!r}.")
    found = document.get("version")
    if not isinstance(found, int) or found < 1:
        raise ValueError(f"{kind}: version {found!r} is not a positive integer.")
    if found > version:
        raise ValueError(
            f"{kind}: version {found} is newer than this archgrad reads (up to {version}); upgrade archgrad."
        )
    return document
