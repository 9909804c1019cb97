"""Rows of logs, sample requests and warm-up records for a written model."""
