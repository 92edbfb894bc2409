"""Raw frames to faces: where the face is, and one crop for the whole clip."""
