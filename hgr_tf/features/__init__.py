"""The feature spec and the encoding learned from data. Loads no TensorFlow."""

from hgr_tf.features.encoding import FeatureEncoding
from hgr_tf.features.histories import Counter, History
from hgr_tf.features.history_list import HistoryList
from hgr_tf.features.keys import ITEM, LABEL, TIME, USER, WEIGHT
from hgr_tf.features.kind import Form, Kind, Learned
from hgr_tf.features.kinds.bucketized import Bucketized
from hgr_tf.features.kinds.categorical import Categorical
from hgr_tf.features.kinds.hashed import Hashed
from hgr_tf.features.kinds.multi_categorical import MultiCategorical
from hgr_tf.features.kinds.numeric import Numeric
from hgr_tf.features.labels import Label, NegativeSampling
from hgr_tf.features.log_files import Format, Table
from hgr_tf.features.spec import Feature, FeatureSpec
from hgr_tf.features.splits import RandomSplit, TimeSplit, UserSplit
from hgr_tf.features.strict_model import SpecError

__all__ = [
    "ITEM",
    "LABEL",
    "TIME",
    "USER",
    "WEIGHT",
    "Bucketized",
    "Categorical",
    "Counter",
    "Feature",
    "FeatureEncoding",
    "FeatureSpec",
    "Form",
    "Format",
    "Hashed",
    "History",
    "HistoryList",
    "Kind",
    "Label",
    "Learned",
    "MultiCategorical",
    "NegativeSampling",
    "Numeric",
    "RandomSplit",
    "SpecError",
    "Table",
    "TimeSplit",
    "UserSplit",
]
