"""Sources: files of any supported format become batches of raw columns."""

from pipelines.sources.base import RawBatch, Rejected, Unit
from pipelines.sources.formats import plan_units, read_unit

__all__ = ["RawBatch", "Rejected", "Unit", "plan_units", "read_unit"]
