"""Protocols: from raw emotions to classes."""

from data_cache.protocols.choose import choose_protocol, read_protocol
from data_cache.protocols.protocol import (
    ClipKey,
    Composition,
    Labelling,
    Protocol,
    apply_protocol,
    count_differences,
    part_of,
)
from data_cache.protocols.published import OFFICIAL_EMOTIONS, PROTOCOLS

__all__ = [
    "OFFICIAL_EMOTIONS",
    "PROTOCOLS",
    "ClipKey",
    "Composition",
    "Labelling",
    "Protocol",
    "apply_protocol",
    "choose_protocol",
    "count_differences",
    "part_of",
    "read_protocol",
]
