from __future__ import annotations

from typing import Any, Literal

import tensorflow as tf

from hgr_tf.metrics.inputs import flat_batch, ratio
from hgr_tf.metrics.summing_metric import SummingMetric

_BINNINGS = ("equal_width", "equal_mass")
_GRID_CELLS = 2**14


@tf.keras.utils.register_keras_serializable(package="hgr_tf")
class ExpectedCalibrationError(SummingMetric):
    r"""ECE: how far predicted probabilities lie from observed rates, by bin.

    $$
    \mathrm{ECE} = \sum_b \frac{W_b}{W} \left| \bar{p}_b - \bar{y}_b \right|
      = \frac{1}{W} \sum_b \Big| \sum_{i \in b} w_i (p_i - y_i) \Big|
    $$

    Equal-width bins are $[k/n, (k+1)/n)$, the last one closed. Equal-mass bins
    each hold the same share of the weight; they tell more where predictions
    crowd in a corner, as click rates do. Their edges fall on a grid of 16,384
    cells of [0, 1], so that a stream needs no more memory than that; no bin
    splits a cell.

    Args:
        num_bins: Number of bins, at least 1 (and at most 16,384).
        binning: "equal_width" or "equal_mass".
        name: Name of the metric.
        dtype: Dtype of the result; the sums are float64 whatever it is.

    Example:
        >>> metric = hgr_tf.metrics.ExpectedCalibrationError(num_bins=2)
        >>> metric.update_state([1, 0, 0], [.9, .2, .4])
        >>> round(float(metric.result()), 4)
        0.2333

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017;
    equal mass: Nguyen and O'Connor, "Posterior Calibration and Exploratory
    Analysis for Natural Language Processing Models", EMNLP 2015.
    """

    def __init__(
        self,
        num_bins: int = 15,
        binning: Literal["equal_width", "equal_mass"] = "equal_width",
        name: str = "ece",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        if not 1 <= num_bins <= _GRID_CELLS:
            raise ValueError(
                f"`num_bins` must be between 1 and {_GRID_CELLS}, got {num_bins}."
            )
        if binning not in _BINNINGS:
            raise ValueError(f"`binning` must be one of {_BINNINGS}, got {binning!r}.")
        self.num_bins = num_bins
        self.binning = binning
        self._cells = num_bins if binning == "equal_width" else _GRID_CELLS
        self._weights = self._add_sum("weights", (self._cells,))
        self._gaps = self._add_sum("gaps", (self._cells,))

    def update_state(
        self,
        y_true: tf.Tensor,
        y_pred: tf.Tensor,
        sample_weight: tf.Tensor | None = None,
    ) -> None:
        """Adds a batch.

        Args:
            y_true: [batch] or [batch, 1] labels in [0, 1].
            y_pred: [batch] or [batch, 1] probabilities; those outside [0, 1]
                count in the first or last bin.
            sample_weight: Scalar, [batch] or [batch, 1], at least 0.

        Raises:
            ValueError: If the sizes differ or a value is out of range.
        """
        y_true, y_pred, weights = flat_batch(y_true, y_pred, sample_weight, highest=1)
        y_true, y_pred, weights = (
            tf.cast(values, tf.float64) for values in (y_true, y_pred, weights)
        )
        cell = tf.cast(tf.floor(y_pred * self._cells), tf.int32)
        cell = tf.clip_by_value(cell, 0, self._cells - 1)
        gaps = weights * (y_pred - y_true)
        self._weights.assign_add(self._by_cell(weights, cell))
        self._gaps.assign_add(self._by_cell(gaps, cell))

    def _by_cell(self, values: tf.Tensor, cell: tf.Tensor) -> tf.Tensor:
        return tf.math.unsorted_segment_sum(values, cell, self._cells)

    def result(self) -> tf.Tensor:
        """The error, a scalar between 0 and 1; NaN without rows."""
        weights = tf.convert_to_tensor(self._weights)
        gaps = tf.convert_to_tensor(self._gaps)
        if self.binning == "equal_mass":
            gaps = tf.math.unsorted_segment_sum(
                gaps, _equal_mass_bins(weights, self.num_bins), self.num_bins
            )
        error = ratio(tf.reduce_sum(tf.abs(gaps)), tf.reduce_sum(weights))
        return tf.cast(error, self.dtype)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return super().get_config() | {
            "num_bins": self.num_bins,
            "binning": self.binning,
        }


def _equal_mass_bins(weights: tf.Tensor, num_bins: int) -> tf.Tensor:
    """Bin of each cell: where the middle of its weight falls."""
    middle = tf.cumsum(weights) - weights / 2
    share = tf.math.divide_no_nan(middle, tf.reduce_sum(weights))
    bins = tf.cast(tf.floor(share * num_bins), tf.int32)
    return tf.clip_by_value(bins, 0, num_bins - 1)
