"""Check a data set before hours are spent on it."""

from preprocess.check.anomalies import Report, check

__all__ = ["Report", "check"]
