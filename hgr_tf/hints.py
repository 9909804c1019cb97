"""What a name that is not known may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: object, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known name most like another, or None where none is like it enough.

    Args:
        name: What came.
        known: The names that there are.
        cutoff: How alike they must be, from 0 to 1, as in `difflib`.

    Example:
        >>> nearest("hiden_units", ["hidden_units", "dropout"])
        'hidden_units'
    """
    found = difflib.get_close_matches(str(name), list(known), 1, cutoff)
    return found[0] if found else None


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """The end of an error: "; did you mean 'x'?", or nothing."""
    near = nearest(name, known)
    return f"; did you mean {near!r}?" if near else ""
