"""Which protocol a run or a check goes by: a name, a file, or the usual one of its data sets."""

from collections.abc import Sequence
from pathlib import Path

from data_cache.errors import UsageError
from data_cache.protocols.protocol import PROTOCOLS, Protocol
from data_cache.protocols.protocol_file import read_protocol

DEFAULT_PROTOCOLS = {"casme2": "casme2-5", "samm": "samm-5", "smic": "smic-3", "demo": "demo-5"}


def choose_protocol(name: str | None, datasets: Sequence[str], emotions: Sequence[str]) -> Protocol:
    """The protocol called `name`, or the usual one for `datasets`.

    A data set that we do not know gets one class per raw emotion ("as-labelled"). Three known
    sets together get the MEGC 2019 composite. A name that ends in .toml is a file with a mapping
    of one's own (`protocol_file.read_protocol`).

    Raises:
        UsageError: no such protocol, or it says nothing about one of the data sets.
    """
    distinct = sorted(set(datasets))
    if name is None:
        if distinct == ["casme2", "samm", "smic"]:
            name = "megc2019"
        else:
            name = DEFAULT_PROTOCOLS.get(distinct[0], "as-labelled") if len(distinct) == 1 else "as-labelled"
    if name == "as-labelled":
        classes = tuple(sorted({emotion for emotion in emotions if emotion}))
        return Protocol(name, classes, {"*": {emotion: emotion for emotion in classes}})
    if name.lower().endswith(".toml"):
        protocol = read_protocol(Path(name))
    elif name in PROTOCOLS:
        protocol = PROTOCOLS[name]
    else:
        raise UsageError(
            f"no protocol {name!r}; choose one of {', '.join([*PROTOCOLS, 'as-labelled'])}, or name a file (FILE.toml)"
        )
    for dataset in distinct:
        if not protocol.covers(dataset):
            raise UsageError(
                f"protocol {protocol.name} says nothing about data set {dataset!r} (it covers "
                f"{', '.join(protocol.emotions)}); pass another --protocol, such as as-labelled"
            )
    return protocol
