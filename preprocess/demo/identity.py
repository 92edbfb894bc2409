"""A drawn person: geometry and looks, at random."""

from dataclasses import dataclass

import numpy as np

_SKIN = np.array([[215, 175, 150], [195, 150, 120], [165, 115, 85], [125, 82, 60], [225, 190, 170]], np.float32)
_HAIR = np.array([[25, 22, 20], [70, 50, 35], [130, 95, 60], [130, 125, 120]], np.float32)
_IRIS = np.array([[70, 40, 25], [95, 60, 40], [60, 100, 120], [80, 95, 70]], np.float32)


@dataclass(frozen=True)
class Identity:
    """What makes one person: geometry in half eye distances, colours as RGB 0..255."""

    eye_distance: float  # as a share of the image width
    face_width: float
    face_height: float
    jaw: float
    eye: float
    brow_height: float
    brow_thickness: float
    brow_arch: float
    nose_length: float
    nose_width: float
    mouth_height: float
    mouth_width: float
    lip: float
    skin: np.ndarray
    hair: np.ndarray
    iris: np.ndarray
    hairline: float
    beard: bool
    glasses: bool
    freckles: int
    texture_seed: int

    def landmarks(self) -> dict[str, tuple[float, float]]:
        """Where the action units pull, on the side x > 0."""
        return {
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
    uniform = rng.uniform
    return Identity(
        eye_distance=uniform(0.43, 0.48),
        face_width=uniform(1.85, 2.15),
        face_height=uniform(2.55, 2.9),
        jaw=uniform(0.72, 0.95),
        eye=uniform(0.30, 0.38),
        brow_height=uniform(0.52, 0.72),
        brow_thickness=uniform(0.08, 0.15),
        brow_arch=uniform(0.02, 0.16),
        nose_length=uniform(1.0, 1.2),
        nose_width=uniform(0.36, 0.48),
        mouth_height=uniform(1.62, 1.85),
        mouth_width=uniform(0.62, 0.82),
        lip=uniform(0.10, 0.17),
        skin=_SKIN[rng.integers(len(_SKIN))] * np.float32(uniform(0.92, 1.05)),
        hair=_HAIR[rng.integers(len(_HAIR))],
        iris=_IRIS[rng.integers(len(_IRIS))],
        hairline=uniform(1.35, 1.75),
        beard=bool(uniform() < 0.25),
        glasses=bool(uniform() < 0.25),
        freckles=60 if uniform() < 0.3 else 8,
        texture_seed=int(rng.integers(1 << 31)),
    )
