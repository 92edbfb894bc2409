"""Micro-expressions as sub-pixel warps of a portrait, in a camera that knows nothing of the class.

An action unit is a smooth displacement field around its landmarks. Everything that disturbs the
picture (resting face, light, pose, drift, flicker, blinks, tremor, noise) is drawn before and without
the class, so the class exists in the motion alone: the face rests at a random expression several
times stronger than the movement, and the movement is centred on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from preprocess.demo.face import SUPERSAMPLING, Portrait, Window, draw_portrait
from preprocess.demo.identity import Identity

BLINK = "45"
ACTION_UNITS: dict[str, tuple[tuple[str, float, float, float, float], ...]] = {
    # FACS number: (landmark, outwards, down, width, height); displacement as a share of the amplitude
    "1": (("inner brow", 0.0, -1.0, 0.55, 0.40),),
    "2": (("outer brow", 0.0, -1.0, 0.55, 0.40),),
    "4": (("inner brow", -0.45, 0.95, 0.55, 0.42), ("middle brow", -0.15, 0.6, 0.5, 0.4)),
    "6": (("cheek", 0.0, -0.55, 0.6, 0.35),),
    "7": (("lower lid", 0.0, -0.6, 0.5, 0.25),),
    "9": (("nostril", 0.05, -1.0, 0.42, 0.42), ("upper lip", 0.0, -0.45, 0.6, 0.3)),
    "12": (("mouth corner", 0.75, -0.85, 0.48, 0.48),),
    "14": (("mouth corner", -0.8, 0.0, 0.40, 0.40),),
    "15": (("mouth corner", 0.1, 1.0, 0.45, 0.45),),
    "17": (("chin", 0.0, -0.9, 0.7, 0.45),),
    "24": (
        ("upper lip", 0.0, 0.8, 0.75, 0.28),
        ("lower lip", 0.0, -0.9, 0.75, 0.30),
        ("mouth corner", -0.35, 0.0, 0.35, 0.3),
    ),
    BLINK: (("upper lid", 0.0, 1.0, 0.45, 0.22),),
}


@dataclass(frozen=True)
class Camera:
    """How clips are filmed; lengths in pixels of a frame."""

    size: int = 128
    fps: float = 200.0
    amplitude: float = 1.2  # peak displacement of a micro-expression
    resting: float = 3.0  # largest displacement of the resting face, per action unit
    grey_noise: float = 1.8  # standard deviation of sensor noise in grey levels
    colour_noise: float = 0.7


@dataclass(frozen=True)
class FilmedClip:
    """A micro-expression on film: frames (N, H, W, 3) uint8 RGB from onset to offset, and the apex's index."""

    frames: np.ndarray
    apex: int


def film(
    person: Identity,
    action_units: Sequence[str],
    camera: Camera,
    rng: np.random.Generator,
    window: Window | None = None,
) -> FilmedClip:
    """Film `person` while `action_units` (of `ACTION_UNITS`) rise and fall once, 0.16 to 0.28 s in all.

    `window` is what is in the picture; by default the face alone, size×size. `rng` decides everything else.
    """
    window = window or Window(0, 0, camera.size, camera.size)
    light = (rng.uniform(-0.8, 0.8), rng.uniform(-0.7, 0.1))
    portrait = draw_portrait(person, camera.size, light, window)
    fields = displacement_fields(person, portrait.unit, portrait.centre, camera.size)
    n_frames = int(rng.uniform(0.16, 0.28) * camera.fps)
    apex = int(n_frames * rng.uniform(0.35, 0.6))
    envelope = rise_and_fall(n_frames, apex, rng)
    pose = _Pose(portrait.centre, n_frames, rng)
    disturbance = _Disturbance(list(fields), camera, n_frames, rng)
    # The class enters here and nowhere above.
    strength = camera.amplitude * rng.uniform(0.7, 1.3)
    columns = np.arange(camera.size, dtype=np.float32)
    asymmetry = 1 + rng.normal(0, 0.12) * np.sign(columns - portrait.centre[0])
    movement = sum(fields[unit] for unit in action_units) * (strength * asymmetry)
    frames = np.empty((n_frames, window.height, window.width, 3), np.uint8)
    for t in range(n_frames):
        field = disturbance.field(fields, t) + movement * (envelope[t] - 0.5)
        frames[t] = disturbance.sense(_warp(portrait, field.astype(np.float32), *pose.grid(window, t)), t, rng)
    return FilmedClip(frames, apex)


def displacement_fields(person: Identity, unit: float, centre: tuple[float, float], size: int) -> dict[str, np.ndarray]:
    """For each action unit, how far it moves each pixel at full strength: (2, size, size) float32, (x, y)."""
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32)
    places = person.landmarks()
    fields = {}
    for name, pulls in ACTION_UNITS.items():
        field = np.zeros((2, size, size), np.float32)
        for landmark, outwards, down, width, height in pulls:
            across, below = places[landmark]
            for side in (-1, 1) if across else (1,):
                x, y = centre[0] + side * across * unit, centre[1] + below * unit
                bump = np.exp(-0.5 * (((columns - x) / (width * unit)) ** 2 + ((rows - y) / (height * unit)) ** 2))
                field += np.stack([bump * outwards * side, bump * down])
        fields[name] = field
    return fields


def rise_and_fall(n_frames: int, apex: int, rng: np.random.Generator) -> np.ndarray:
    """Intensity over time: raised cosines from 0 at the onset to 1 at the apex and (almost) back."""
    t = np.arange(n_frames)
    fall = (t - apex) / (n_frames - 1 - apex) * rng.uniform(0.8, 1)
    return np.where(t <= apex, 0.5 - 0.5 * np.cos(np.pi * t / apex), 0.5 + 0.5 * np.cos(np.pi * fall))


class _Pose:
    """A head that is a little off centre and drifts by about half a pixel."""

    def __init__(self, centre: tuple[float, float], n_frames: int, rng: np.random.Generator) -> None:
        self.centre = centre
        self.roll = np.deg2rad(rng.uniform(-3, 3))
        self.shift = rng.uniform(-1.5, 1.5, 2)
        phase = rng.uniform(0, 2 * np.pi, (4, 1))
        speed = np.pi * rng.uniform(0.3, 1) / n_frames
        extent = np.array([[0.5], [0.5], [0.004], [0.003]]) * rng.uniform(0.3, 1)  # x, y, roll, scale
        self.drift = (np.sin(speed * np.arange(n_frames) + phase) - np.sin(phase)) * extent

    def grid(self, window: Window, t: int) -> tuple[np.ndarray, np.ndarray]:
        """For each pixel of frame t, the place in the upright face that it shows: x and y, float32."""
        rows, columns = np.mgrid[0 : window.height, 0 : window.width].astype(np.float32)
        x = columns + window.left - self.centre[0] - self.shift[0] - self.drift[0, t]
        y = rows + window.top - self.centre[1] - self.shift[1] - self.drift[1, t]
        roll, scale = self.roll + self.drift[2, t], 1 + self.drift[3, t]
        cos, sin = np.cos(roll), np.sin(roll)
        turned = (cos * x + sin * y) / scale + self.centre[0], (cos * y - sin * x) / scale + self.centre[1]
        return turned[0].astype(np.float32), turned[1].astype(np.float32)


class _Disturbance:
    """Resting expression, blink, tremor, flicker and sensor noise: all that has no class."""

    def __init__(self, units: Sequence[str], camera: Camera, n_frames: int, rng: np.random.Generator) -> None:
        self.units, self.camera = units, camera
        self.resting = {unit: rng.uniform(-camera.resting, camera.resting) for unit in units if unit != BLINK}
        t = np.arange(n_frames)
        blinks, moment = rng.uniform() < 0.25, rng.uniform(0, n_frames)
        self.blink = 2.2 * blinks * np.exp(-0.5 * ((t - moment) / (0.025 * camera.fps)) ** 2)
        shake = rng.standard_normal((n_frames, len(units))).astype(np.float32)
        self.tremor = 0.08 * cv2.GaussianBlur(shake, (1, 9), sigmaX=1, sigmaY=2)
        flicker = 0.012 * np.sin(2 * np.pi * rng.uniform(1, 9) * t / camera.fps + rng.uniform(0, 2 * np.pi))
        self.gain = 1 + flicker + 0.004 * rng.standard_normal(n_frames)

    def field(self, fields: dict[str, np.ndarray], t: int) -> np.ndarray:
        """The displacement at frame t that has nothing to do with the class."""
        total = fields[BLINK] * self.blink[t]
        for unit, amount in self.resting.items():
            total = total + fields[unit] * amount
        for column, unit in enumerate(self.units):
            total = total + fields[unit] * self.tremor[t, column]
        return np.asarray(total)

    def sense(self, image: np.ndarray, t: int, rng: np.random.Generator) -> np.ndarray:
        """What the sensor makes of `image`: flicker, noise, 8 bits."""
        noise = rng.normal(0, self.camera.grey_noise, (*image.shape[:2], 1))
        noise = noise + rng.normal(0, self.camera.colour_noise, image.shape)
        return np.clip(np.rint(image * self.gain[t] + noise), 0, 255).astype(np.uint8)


def _warp(portrait: Portrait, field: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Sample the portrait at (x, y) moved back by the displacement there."""
    moved = [cv2.remap(component, x, y, cv2.INTER_LINEAR) for component in field]
    source_x = (x - moved[0] - portrait.window.left + 0.5) * SUPERSAMPLING - 0.5
    source_y = (y - moved[1] - portrait.window.top + 0.5) * SUPERSAMPLING - 0.5
    return np.asarray(cv2.remap(portrait.image, source_x, source_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE))
