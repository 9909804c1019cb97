"""Generated reports of what people, devices and sensors did in a home."""

from hgr_tf.qa.reports.generate import ReportOptions, generate, write_reports

__all__ = ["ReportOptions", "generate", "write_reports"]
