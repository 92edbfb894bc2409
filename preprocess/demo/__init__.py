"""The demo set: drawn faces with sub-pixel micro-expressions, laid out as CASME II is delivered."""
