"""Pictures of what preprocessing does to a clip."""

from preprocess.preview.draw import preview
from preprocess.preview.scene import make_scene

__all__ = ["make_scene", "preview"]
