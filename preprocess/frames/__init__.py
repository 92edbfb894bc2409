"""Frames of a clip: image files and videos in, RGB arrays out."""

from preprocess.frames.read import read_frames, read_image, resize
from preprocess.frames.video import probe

__all__ = ["probe", "read_frames", "read_image", "resize"]
