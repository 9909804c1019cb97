"""Vectorised work on bytes and numbers; nothing here knows a feature spec."""
