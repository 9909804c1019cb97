"""Errors that a user can act on."""


class PrepareError(ValueError):
    """A run that cannot start or go on; the message says why, in one line."""
