"""Packaging of hgr_tf, whose rooms `pipelines` and `export` lie beside its folder.

Beam's `--setup_file` runs this file on its workers, so it stays self-contained.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent

# tensorflow-ranking 0.5.5 needs tf.estimator, gone after TF 2.15, and TF 2.15
# has no wheels past Python 3.11. So the Python version picks the flavour.
KERAS_2 = 'python_version < "3.12"'
KERAS_3 = 'python_version >= "3.12"'

CORE = [
    f"tensorflow>=2.15.1,<2.16; {KERAS_2}",
    f"tensorflow>=2.20,<2.22; {KERAS_3}",
    "tensorboard>=2.15",
    f"tensorflow-ranking==0.5.5; {KERAS_2}",
    f"tf-keras>=2.20,<2.22; {KERAS_3}",
    f"keras-rs>=0.4,<1; {KERAS_3}",
    "tensorflow-recommenders==0.7.7",
    f"numpy>=1.26,<2; {KERAS_2}",
    f"numpy>=2; {KERAS_3}",
    "lazy_loader>=0.4",
    "pydantic>=2.7,<3",
    "pyyaml>=6",
    "rich>=13",
    "scikit-learn>=1.4",
    "typer>=0.19",
]
PIPELINES = [
    "apache-beam==2.77.0",
    "cramjam>=2.8",  # Avro compressed with snappy
    "google-crc32c>=1.5",
    "isal>=1.6",
    "msgspec>=0.18",
    "pyarrow>=15",
    # Newer ones need a protobuf that TF 2.15 does not work with.
    f"tensorflow-metadata>=1.15,<1.18; {KERAS_2}",
    f"tensorflow-metadata>=1.15; {KERAS_3}",
]
SERVING = [
    f"tensorflow-serving-api>=2.15.1,<2.16; {KERAS_2}",
    f"tensorflow-serving-api>=2.19; {KERAS_3}",
    "tenacity>=8.3",
]
EXTRAS = {
    # apache-beam[gcp] does not resolve beside TF 2.15: these are the parts of
    # it that the Dataflow runner and gs:// paths need.
    "dataflow": [
        'google-apitools>=0.5.31,<0.5.32; python_version < "3.13"',
        # Older ones cannot be imported there, and fail at Beam's import.
        'google-apitools>=0.5.35; python_version >= "3.13"',
        "google-auth-httplib2<0.3",
        "google-cloud-bigquery",
        "google-cloud-bigquery-storage",
        "google-cloud-storage",
        "google-cloud-core",
        "google-cloud-dataflow-client<0.14",
    ],
    # s3:// paths, and azfs:// paths of Azure Blob Storage.
    "aws": ["boto3>=1.28"],
    "azure": ["azure-storage-blob>=12.3.2,<13", "azure-identity>=1.12"],
    # Logs and tables of Delta Lake and Iceberg.
    "lake": ["deltalake>=1", "pyiceberg>=0.10"],
    # The integer-id model for ONNX Runtime or OpenVINO. Newer onnx wants a newer
    # protobuf than TF 2.15 does.
    "onnx": [f"onnx>=1.16,<1.18; {KERAS_2}", "onnxruntime>=1.17", "tf2onnx>=1.16"],
    # `hgr-tf compare`, `tune`, `report`, `validate`, and pages of `codes`.
    "compare": [
        "jinja2>=3",
        "matplotlib>=3.8",
        "optuna>=4",
        "scipy>=1.11",
        "statsmodels>=0.14",
    ],
    # Question answering, hgr_tf.qa. A newer tensorflow-text would lift TensorFlow.
    "qa": [
        f"keras-nlp==0.12.1; {KERAS_2}",
        f"tensorflow-text>=2.15,<2.16; {KERAS_2}",
        f"keras-hub>=0.32,<0.33; {KERAS_3}",
        "safetensors>=0.4",
        "scipy>=1.11",
        "tokenizers>=0.19",
    ],
    "dev": [
        "build>=1.2",
        "gcp-storage-emulator>=2026.7",
        "hypothesis>=6.100",
        "import-linter>=2.5,<3",
        "kubernetes-validate>=1.30",
        "moto[server]>=5",
        "mypy>=1.13,<3",
        "ovmsclient>=2023.1",
        "pre-commit>=3.5",
        "pytest>=8.2",
        "pytest-xdist>=3.5",
        "ruff>=0.6",
        "types-PyYAML>=6",
    ],
}

VERSION = re.search(
    r'^__version__ = "(.+)"$', (ROOT / "hgr_tf/__init__.py").read_text("utf-8"), re.M
)[1]

# The folders pipelines/ and export/ are imported as hgr_tf.pipelines and hgr_tf.export,
# and docs/ goes with them for `hgr-tf docs`.
ROOMS = {"hgr_tf.pipelines": "pipelines", "hgr_tf.export": "export"}

setup(
    name="hgr_tf",
    version=VERSION,
    description="Hierarchical group-wise ranking for TensorFlow and Keras recommenders",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8")
    if (ROOT / "README.md").exists()
    else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Operating System :: MacOS",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    project_urls={"Paper": "https://arxiv.org/abs/2506.12756"},
    python_requires=">=3.10,<3.14",
    package_dir={**ROOMS, "hgr_tf.docs": "docs"},
    packages=find_packages(include=["hgr_tf*"])
    + [
        ".".join((name, *below))
        for name, folder in ROOMS.items()
        for below in [(), *((p,) for p in find_packages(folder))]
    ]
    + ["hgr_tf.docs"],
    package_data={
        "hgr_tf": ["py.typed"],
        "hgr_tf.codes": ["*.jinja"],
        "hgr_tf.comparing": ["*.jinja"],
        "hgr_tf.docs": ["*.md"],
        "hgr_tf.export": ["tf_serving/*.config", "tf_serving/*.yaml"],
    },
    install_requires=CORE + PIPELINES + SERVING,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["hgr-tf = hgr_tf.cli.main:main"]},
)
