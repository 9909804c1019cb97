"""Checks of a written model: verification, leaks, replay, signatures."""
