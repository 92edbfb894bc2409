"""The log of a build: one line of JSON per clip."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from data_cache.errors import UsageError
from data_cache.files.atomic import json_bytes


class ReceiptLog:
    """Appends to the file at `path`; without a path it does nothing."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._file: TextIO | None = None

    def __enter__(self) -> "ReceiptLog":
        if self.path is not None:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("a", encoding="utf-8", buffering=1)
            except OSError as error:
                raise UsageError(f"--log-file {self.path} cannot be written ({error.strerror})") from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, receipt: Mapping[str, Any]) -> None:
        """Append one receipt, with the time."""
        if self._file is not None:
            line = {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), **receipt}
            self._file.write(json_bytes(line).decode())
