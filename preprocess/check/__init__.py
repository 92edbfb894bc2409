"""Check a data set before hours are spent on it."""

from preprocess.check.anomalies import Report, check, count_notes, print_report

__all__ = ["Report", "check", "count_notes", "print_report"]
