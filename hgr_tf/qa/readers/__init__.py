"""Readers of question answering files, a file of this folder for each format."""

from hgr_tf.qa.readers.read import FORMATS, read_examples, write_examples

__all__ = ["FORMATS", "read_examples", "write_examples"]
