"""Errors that a user can act on."""

from __future__ import annotations

from importlib.util import find_spec


class PrepareError(ValueError):
    """A run that cannot start or go on; the message says why, in one line."""


def need_extra(module: str, extra: str, what: str) -> None:
    """Raises `PrepareError` where a library of an extra is not installed.

    Args:
        module: Name of the library's package.
        extra: Extra of setup.py that brings it.
        what: What needs it, in the plural.
    """
    try:
        found = find_spec(module)
    except ModuleNotFoundError:  # not even the package that it is in
        found = None
    if found is None:
        raise PrepareError(
            f"{what} need {module}: `pip install '.[{extra}]'` in hgr_tf's clone"
        )
