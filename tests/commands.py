"""Run mpt-preprocess in this process, as a shell would."""

import sys
from unittest.mock import patch

from preprocess.cli import main


def mpt_preprocess(*arguments: object) -> int:
    """The exit code of `mpt-preprocess` with these arguments."""
    with patch.object(sys, "argv", ["mpt-preprocess", *map(str, arguments)]):
        try:
            main()
        except SystemExit as ended:
            return int(ended.code or 0)
    raise AssertionError("the command did not end")
