"""The paper's tables: presets, studies, printed numbers."""
