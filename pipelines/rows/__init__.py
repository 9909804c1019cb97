"""Rows of a log: fields, casting, validation, splits, targets."""
