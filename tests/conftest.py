"""All annotations of the library are checked while the tests run: shapes by jaxtyping, types by beartype."""

import sys
import types

from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

# An int passes for a float, as PEP 484 has it; the hook wants the checker's name, hence the module.
_checker = types.ModuleType("archgrad_checker")
_checker.check = beartype(conf=BeartypeConf(is_pep484_tower=True))  # pyright: ignore[reportAttributeAccessIssue]
sys.modules["archgrad_checker"] = _checker
install_import_hook("archgrad", "archgrad_checker.check")
