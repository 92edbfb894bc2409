"""Protocols: from raw emotions to classes."""
