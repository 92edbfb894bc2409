"""A drawn person: geometry and looks, at random."""

import numpy as np

_SKIN = np.array([[215, 175, 150], [195, 150, 120], [165, 115, 85], [125, 82, 60], [225, 190, 170]], np.float32)
_HAIR = np.array([[25, 22, 20], [70, 50, 35], [130, 95, 60], [130, 125, 120]], np.float32)
_IRIS = np.array([[70, 40, 25], [95, 60, 40], [60, 100, 120], [80, 95, 70]], np.float32)


class Identity:
    """What makes one person, at random: geometry in half eye distances, colours as RGB 0..255."""

    def __init__(self, rng: np.random.Generator) -> None:
        uniform = rng.uniform
        self.eye_distance = uniform(0.43, 0.48)  # as a share of the image width
        self.face_width = uniform(1.85, 2.15)
        self.face_height = uniform(2.55, 2.9)
        self.jaw = uniform(0.72, 0.95)
        self.eye = uniform(0.30, 0.38)
        self.brow_height = uniform(0.52, 0.72)
        self.brow_thickness = uniform(0.08, 0.15)
        self.brow_arch = uniform(0.02, 0.16)
        self.nose_length = uniform(1.0, 1.2)
        self.nose_width = uniform(0.36, 0.48)
        self.mouth_height = uniform(1.62, 1.85)
        self.mouth_width = uniform(0.62, 0.82)
        self.lip = uniform(0.10, 0.17)
        self.skin = _SKIN[rng.integers(len(_SKIN))] * np.float32(uniform(0.92, 1.05))
        self.hair = _HAIR[rng.integers(len(_HAIR))]
        self.iris = _IRIS[rng.integers(len(_IRIS))]
        self.hairline = uniform(1.35, 1.75)
        self.beard = bool(uniform() < 0.25)
        self.glasses = bool(uniform() < 0.25)
        self.freckles = 60 if uniform() < 0.3 else 8
        self.texture_seed = int(rng.integers(1 << 31))

    def landmarks(self) -> dict[str, tuple[float, float]]:
        """Where the action units pull, on the side x > 0."""
        return {
            "head": (0.0, 0.35),
            "nose": (0.0, self.nose_length * 0.7),
            "inner brow": (0.45, -self.brow_height),
            "middle brow": (0.85, -self.brow_height - 0.04),
            "outer brow": (1.35, -self.brow_height - self.brow_arch),
            "upper lid": (1.0, -0.16),
            "lower lid": (1.0, 0.2),
            "cheek": (1.15, 0.75),
            "nostril": (self.nose_width * 0.9, self.nose_length - 0.12),
            "mouth corner": (self.mouth_width, self.mouth_height),
            "upper lip": (0.0, self.mouth_height - self.lip),
            "lower lip": (0.0, self.mouth_height + self.lip),
            "chin": (0.0, self.mouth_height + 0.62),
        }


def draw_identity(rng: np.random.Generator) -> Identity:
    """A person at random."""
    return Identity(rng)
