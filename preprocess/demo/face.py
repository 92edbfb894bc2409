"""Drawn faces: a person at random, rendered as one neutral portrait.

Lengths are in units of half the distance between the eyes; the origin lies between the eyes, x grows
to the right and y downwards. Faces are symmetric, so parts are drawn once for each `side` (−1, +1).
"""

from dataclasses import astuple, dataclass

import cv2
import numpy as np

SUPERSAMPLING = 2  # the portrait is drawn this much larger than its frames, so that sub-pixel motion resamples cleanly
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


@dataclass(frozen=True)
class Window:
    """What the camera sees of the plane of the portrait: pixels of a frame, from the portrait's corner."""

    left: int
    top: int
    width: int
    height: int


class Portrait:
    """The neutral face of `person`, which fills size×size pixels, in `light` from (x, y), each −1..1.

    Attributes:
        window: what is drawn: that square alone, or more of the scene.
        image: (SUPERSAMPLING·height, SUPERSAMPLING·width, 3) float32 RGB, 0..255, of the window.
        centre: the point between the eyes, (x, y) in pixels of a frame.
        unit: half the eye distance, in pixels of a frame.
    """

    def __init__(self, person: Identity, size: int, light: tuple[float, float], window: Window) -> None:
        self.person, self.size, self.window = person, size, window
        self.centre, self.unit = (size / 2, size * 0.40), person.eye_distance / 2 * size
        left, top, width, height = (SUPERSAMPLING * part for part in astuple(window))
        rows, columns = np.mgrid[top : top + height, left : left + width].astype(np.float32)
        self.x = (columns - SUPERSAMPLING * self.centre[0]) / (SUPERSAMPLING * self.unit)  # in face coordinates
        self.y = (rows - SUPERSAMPLING * self.centre[1]) / (SUPERSAMPLING * self.unit)
        self.image = np.zeros((height, width, 3), np.float32)
        self.rng = np.random.default_rng(person.texture_seed)
        self._background(light[0])
        self._skin(light)
        for side in (-1, 1):
            self._eye(side)
            self._brow(side)
            self._nostril(side)
        self._mouth()
        if person.beard:
            self._beard()
        self._hair()
        if person.glasses:
            self._glasses()
        self.image = cv2.GaussianBlur(np.clip(self.image, 0, 255), (0, 0), 0.45 * SUPERSAMPLING)

    def _inside(self, distance: np.ndarray, softness: float = 0.04) -> np.ndarray:
        """1 where the signed `distance` is negative, 0 where positive, with a soft edge."""
        return np.asarray(1 / (1 + np.exp(np.clip(distance / softness, -30, 30))), np.float32)

    def _bump(self, x: float, y: float, width: float, height: float) -> np.ndarray:
        """A Gaussian at (x, y)."""
        return np.asarray(np.exp(-0.5 * (((self.x - x) / width) ** 2 + ((self.y - y) / height) ** 2)), np.float32)

    def _line(self, distance: np.ndarray, width: float) -> np.ndarray:
        """A soft line where `distance` is zero."""
        return np.asarray(np.exp(-0.5 * (distance / width) ** 2), np.float32)

    def _noise(self, grain: float) -> np.ndarray:
        """Smooth noise of unit variance; `grain` in pixels."""
        height, width = self.image.shape[:2]
        cells = max(2, int(height / grain)), max(2, int(width / grain))
        coarse = self.rng.standard_normal(cells).astype(np.float32)
        noise = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        return np.asarray(noise / (noise.std() + 1e-6))

    def _blend(self, mask: np.ndarray, colour: np.ndarray | tuple[float, ...] | float) -> None:
        """Paint `colour` over the image where `mask` (0..1) says."""
        alpha = mask[..., None]
        self.image = (self.image * (1 - alpha) + alpha * np.asarray(colour, np.float32)).astype(np.float32)

    def _background(self, light_x: float) -> None:
        """A grey wall, the hair behind the head, the neck, and shoulders where they are in the picture."""
        person = self.person
        self.image += (118 + 8 * self.x * light_x)[..., None]
        head = (self.x / (person.face_width * 1.12)) ** 2 + ((self.y - 0.1) / (person.face_height * 0.95)) ** 2
        self._blend(self._inside(head - 1) * self._inside(self.y - 1.6, 0.08), person.hair)
        neck = np.hypot(self.x / (person.face_width * 0.55), (self.y - 3.6) / 1.6)
        self._blend(self._inside(neck - 1, 0.05), person.skin * 0.72)
        self._blend(self._inside(np.hypot(self.x / 4.6, (self.y - 7.2) / 3.4) - 1, 0.02), 60 + person.iris * 0.5)

    def _skin(self, light: tuple[float, float]) -> None:
        """The face itself: shading by light and relief, texture at three grains, freckles."""
        person, y, height = self.person, self.y, self.person.face_height
        narrowing = np.where(y > 0.6, 1 - (1 - person.jaw) * np.clip((y - 0.6) / 2, 0, 1) ** 1.5, 1)
        width = person.face_width * 0.86 * narrowing  # half of it, at each height
        oval = (np.abs(self.x) / width) ** 2.3 + (np.abs(y - 0.35) / (height * 0.86)) ** 2.3
        self.face = self._inside(oval - 1, 0.035)
        depth = 1 - (self.x / (width * 1.15)) ** 2 - ((y - 0.35) / (height * 1.05)) ** 2
        facing = 0.85 * np.sqrt(np.clip(depth, 0.05, 1)) + 0.5 * light[0] * self.x / width
        shade = 0.62 + 0.42 * np.clip(facing + 0.5 * light[1] * (y - 0.35) / height, 0, 1.3) + self._relief()
        self.brightness = float(shade.mean())
        texture = 0.030 * self._noise(3) + 0.028 * self._noise(9) + 0.025 * self._noise(40)
        tint = 1 + 0.02 * self._noise(30)[..., None] * np.array([0.8, 0, -0.5], np.float32)
        self._blend(self.face, person.skin * (shade + texture)[..., None] * tint)
        for _ in range(person.freckles):
            x, y0 = self.rng.uniform(-1.5, 1.5), self.rng.uniform(-0.2, 2.2)
            strength, extent = self.rng.uniform(0.05, 0.25), self.rng.uniform(0.015, 0.04, 2)
            self.image *= 1 - strength * self._bump(x, y0, *extent)[..., None]

    def _relief(self) -> np.ndarray:
        """Light and shade of nose, forehead, cheeks, sockets, folds and chin."""
        person = self.person
        relief = 0.10 * self._bump(0, person.nose_length * 0.55, 0.16, 0.5) + 0.07 * self._bump(0, -1.2, 0.9, 0.4)
        relief -= 0.10 * self._bump(0, person.nose_length + 0.17, 0.42, 0.10)
        relief -= 0.08 * self._bump(0, person.mouth_height + 0.36, 0.35, 0.09)
        beside_mouth = self._inside(np.abs(self.y - 1.35) - 0.45, 0.1)
        for side in (-1, 1):
            relief += 0.06 * self._bump(side * 1.15, 0.75, 0.45, 0.35) - 0.10 * self._bump(side * 0.38, 0.1, 0.14, 0.35)
            relief -= 0.12 * self._bump(side, -0.28, 0.42, 0.14) + 0.06 * self._bump(side, 0.38, 0.4, 0.1)
            relief -= 0.07 * self._line(side * self.x - (0.55 + 0.35 * (self.y - 0.95)), 0.07) * beside_mouth
        return relief

    def _eye(self, side: int) -> None:
        """White, iris, pupil, highlight, lash line and lid fold."""
        half, across = self.person.eye, side * self.x - 1
        lid = 0.5 * half * (1 - (across / (half * 1.25)) ** 2)
        opening = self._inside(np.maximum(-(self.y + lid), self.y - 0.75 * lid), 0.03) * (np.abs(across) < half * 1.25)
        self._blend(opening, np.array([215, 210, 205], np.float32) * self.brightness)
        radius = np.hypot(across, self.y + 0.02)
        self._blend(opening * self._inside(radius - half * 0.48, 0.02), self.person.iris)
        self._blend(opening * self._inside(radius - half * 0.2, 0.02), 8)
        self._blend(opening * self._bump(side + 0.06, -0.08, 0.03, 0.03), 250)
        self._blend(0.75 * self._line(self.y + lid, 0.035) * (np.abs(across) < half * 1.3), (35, 25, 25))
        fold = 0.3 * self._line(self.y + 1.55 * lid, 0.03) * (np.abs(across) < half * 1.2)
        self._blend(fold, self.person.skin * 0.5)

    def _brow(self, side: int) -> None:
        """A hairy arc, thinner towards the temple."""
        person, outwards = self.person, side * self.x
        along = np.clip((outwards - 0.38) / 1.05, 0, 1)
        height = 0.02 - person.brow_height - person.brow_arch * np.sin(np.pi * np.clip(along * 0.8, 0, 1))
        arc = self._inside(np.abs(self.y - height) - person.brow_thickness * (1 - 0.75 * along), 0.025)
        arc *= self._inside(0.36 - outwards, 0.03) * self._inside(outwards - 1.45, 0.05)
        self._blend(np.clip(arc * (0.75 + 0.25 * self._noise(2)), 0, 1), person.hair * 0.8)

    def _nostril(self, side: int) -> None:
        person = self.person
        hole = self._bump(side * person.nose_width * 0.5, person.nose_length, 0.10, 0.055)
        self._blend(0.75 * hole, person.skin * 0.25)
        wing = np.hypot(side * self.x - person.nose_width * 0.62, self.y - person.nose_length + 0.1) - 0.22
        self.image *= 1 - (0.12 * self._line(wing, 0.04) * (side * self.x > person.nose_width * 0.6))[..., None]

    def _mouth(self) -> None:
        """Upper lip with its bow, lower lip, and the line between them."""
        person = self.person
        span = np.clip(1 - (self.x / person.mouth_width) ** 2, 0, 1)
        middle = person.mouth_height - 0.03 * np.cos(self.x * 6) * span
        colour = person.skin * np.array([0.82, 0.58, 0.62], np.float32)
        bow = 1 - 0.25 * self._bump(0, person.mouth_height - person.lip, 0.1, 1)
        upper = self._inside(middle - person.lip * span**0.7 * bow - self.y, 0.02) * self._inside(self.y - middle, 0.02)
        self._blend(0.85 * upper * (span > 0), colour * 0.9)
        lower = self._inside(self.y - middle - person.lip * 1.25 * span**0.6, 0.03)
        lower *= self._inside(middle - self.y, 0.02)
        shine = 1 + 0.15 * self._bump(0, person.mouth_height + 0.1, 0.3, 0.05)[..., None]
        self._blend(0.85 * lower, colour * shine)
        between = self._line(self.y - middle, 0.028) * self._inside(np.abs(self.x) - person.mouth_width, 0.03)
        self._blend(0.8 * between, colour * 0.35)

    def _beard(self) -> None:
        """Stubble below the nose, not on the lips."""
        person = self.person
        below = self._inside(person.mouth_height - 0.45 - self.y, 0.15)
        lips = 1.2 * self._bump(0, person.mouth_height, person.mouth_width, 0.2)
        grain = np.clip(0.6 + 0.4 * self._noise(2), 0, 1)
        self._blend(0.45 * self.face * grain * np.clip(below - lips, 0, 1), person.hair)

    def _hair(self) -> None:
        person = self.person
        edge = self.y + person.hairline + 0.18 * self.x**2 - 0.5 * (np.abs(self.x) / person.face_width) ** 4
        head = (self.x / person.face_width) ** 2 + ((self.y - 0.1) / (person.face_height * 0.98)) ** 2
        mask = self._inside(edge - 0.05 * self._noise(8), 0.05) * self._inside(head - 1.05)
        self._blend(mask, person.hair * (1 + 0.12 * self._noise(3) + 0.18 * self._noise(12))[..., None])

    def _glasses(self) -> None:
        for side in (-1, 1):
            rim = np.hypot((side * self.x - 1) / 1.2, (self.y - 0.1) / 0.9) - 0.5
            self._blend(0.85 * self._line(rim, 0.035), (28, 28, 30))
        self._blend(0.85 * self._line(self.y + 0.02, 0.04) * (np.abs(self.x) < 0.42), (28, 28, 30))
