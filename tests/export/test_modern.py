"""The export of one TensorFlow is loaded by the newest one, from its own place.

HGR_MODERN_PYTHON names the Python of an environment with that TensorFlow; by
default it is that of `make env-modern`.
"""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from hgr_tf.export.inputs.sample_requests import SampleRequests
from tests.export.models import ENCODING, NAMES, trained_scores

ROOT = Path(__file__).parents[2]
MADE = ROOT / ".venv-modern" / "bin" / "python"
LOADERS = {
    "saved_model": """
loaded = tf.saved_model.load(folder)
serve = loaded.signatures["serving_default"]
scores = serve(**{k: tf.constant(raw[k]) for k in raw})["probabilities"].numpy()
""",
    "c_api": """
from hgr_tf.export.runtime.session import ServingSession
inputs = {k: raw[k] for k in raw}
scores = ServingSession(folder).call("serving_default", inputs)["probabilities"]
""",
}


@pytest.mark.parametrize(
    "loader", ["saved_model", pytest.param("c_api", marks=pytest.mark.slow)]
)
def test_the_newest_tensorflow_gives_the_same_scores(loader, model, exported, tmp_path):
    python = os.environ.get("HGR_MODERN_PYTHON", MADE)
    if not Path(python).exists():
        pytest.skip(f"{python} is not there: no newer TensorFlow")
    raw = SampleRequests(ENCODING, NAMES).raw(50)
    np.savez(tmp_path / "raw.npz", **raw)
    code = f"""
import json
import numpy as np
import tensorflow as tf
raw = np.load({str(tmp_path / "raw.npz")!r}, allow_pickle=True)
folder = {str(exported)!r}
{LOADERS[loader]}
print(json.dumps([tf.__version__, scores.tolist()]))
"""
    done = subprocess.run(
        [python, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    version, scores = json.loads(done.stdout)
    assert tuple(map(int, version.split(".")[:2])) >= (2, 16)
    np.testing.assert_allclose(scores, trained_scores(model, raw), atol=1e-6)
