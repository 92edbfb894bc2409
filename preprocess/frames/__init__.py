"""Frames of a clip: image files and videos in, RGB arrays out."""
