"""Sources: files of any supported format become batches of raw columns."""

from hgr_tf.pipelines.sources.base import RawBatch, Rejected, Unit
from hgr_tf.pipelines.sources.formats import plan_units, read_unit

__all__ = ["RawBatch", "Rejected", "Unit", "plan_units", "read_unit"]
