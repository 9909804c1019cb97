"""A calibration of each method, for the shop of tests/export/models.py."""

from hgr_tf.calibration.calibration import Calibration, CalibrationFigures
from hgr_tf.calibration.isotonic import Isotonic
from hgr_tf.calibration.per_slice import PerSlice, SliceScale
from hgr_tf.calibration.platt import Platt

PLATT = Platt(slope=0.7, intercept=-0.4)
ISOTONIC = Isotonic(at=(-1.0, -0.25, 0.5, 2.0), probabilities=(0.05, 0.2, 0.2, 0.9))


def per_slice(column):
    """Scales of the ids 2 and 3; the others share one."""
    return PerSlice(
        column=column,
        fallback=PLATT,
        slices=(
            SliceScale(id=3, value="three", rows=90, slope=1.5, intercept=0.25),
            SliceScale(id=2, value="two", rows=40, slope=0.5, intercept=-1.0),
        ),
    )


def calibration(function):
    """The file's content, with figures of nothing."""
    none = dict.fromkeys(CalibrationFigures.model_fields)
    figures = CalibrationFigures(**none)
    return Calibration(
        function=function,
        split="val",
        seed=0,
        halves="users",
        fitted_rows=1,
        measured_rows=1,
        before=figures,
        after=figures,
    )
