"""Columns and rows become encoded features and the bytes of examples."""
