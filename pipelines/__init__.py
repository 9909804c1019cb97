"""The data pipeline: raw interaction logs to training data, with Apache Beam.

    from hgr_tf.pipelines.run import prepare
    prepare("spec.yaml", ["train=logs/*.parquet"], "prepared")

Nothing here imports TensorFlow: workers start fast and stay small.
"""

import warnings

# Beam loads google.api_core, which announces the end of old Python versions.
warnings.filterwarnings("ignore", category=FutureWarning, module=r"google\.")
