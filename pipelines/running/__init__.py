"""How a run is configured, checked, locked, supervised and cleaned up."""
