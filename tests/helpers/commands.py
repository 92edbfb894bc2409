"""The commands of the project, and the modules that they are in."""

COMMANDS = {
    "mpt-preprocess": "preprocess.cli",
    "mpt-cache": "data_cache.cli",
    "mpt-train": "train.cli",
    "mpt-report": "train.report.cli",
    "mpt-compare": "train.report.compare",
    "mpt-predict": "train.predict.cli",
}
