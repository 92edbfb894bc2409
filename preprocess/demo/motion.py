"""Micro-expressions as sub-pixel warps of a portrait, in a camera that knows nothing of the class.

An action unit is a smooth displacement field around its landmarks. Everything that disturbs the
picture (resting face, light, pose, drift, flicker, blinks, tremor, noise) is drawn before and without
the class, so the class exists in the motion alone: the face rests at a random expression several
times stronger than the movement, and the movement is centred on it.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace

import cv2
import numpy as np

from preprocess.demo.face import SUPERSAMPLING, Identity, Portrait, Window

Pull = tuple[str, float, float, float, float]
"""Landmark, outwards, down, width, height: a bump of displacement there, as a share of an amplitude."""
Sway = tuple[tuple[Pull, ...], float, tuple[float, float]]
"""A movement without a class, back and forth at a random strength, rate and phase: what it pulls; the largest
displacement, in pixels of a frame of the usual camera; the lowest and the highest rate, in Hz."""
BLINK = "45"
ACTION_UNITS: dict[str, tuple[Pull, ...]] = {  # by FACS number
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
class Tier:
    """How hard it is to see the class."""

    amplitude: float = 1.0  # of the micro-expressions, as a share of the camera's
    blinks: float = 0.25  # share of clips with a blink
    sways: tuple[Sway, ...] = ()  # in every clip
    shades: tuple[float, ...] = ()  # strengths of soft shades that pass over the face, as shares of the light
    # Of each camera, by what its lengths, its noise and its JPEG quality are multiplied; subjects take turns.
    cameras: tuple[tuple[float, float, float], ...] = ((1.0, 1.0, 1.0),)

    def filmed_by(self, camera: Camera, subject: int) -> tuple[Camera, float]:
        """The camera before which a subject sits, and the factor of its JPEG quality."""
        scale, noise, quality = self.cameras[subject % len(self.cameras)]
        changed = replace(
            camera,
            size=round(camera.size * scale),
            amplitude=camera.amplitude * self.amplitude * scale,
            resting=camera.resting * scale,
            grey_noise=camera.grey_noise * noise,
            colour_noise=camera.colour_noise * noise,
        )
        return changed, quality


TIERS: dict[str, Tier] = {
    "easy": Tier(),
    "hard": Tier(
        amplitude=0.45,
        blinks=0.5,
        sways=(
            ((("head", 1.0, 0.0, 1.5, 1.9), ("nose", 0.35, 0.0, 0.3, 0.5)), 0.5, (0.5, 2.0)),  # turns, nods
            ((("head", 0.0, 1.0, 1.5, 1.9), ("nose", 0.0, 0.35, 0.3, 0.5)), 0.5, (0.5, 2.0)),
            ((("lower lip", 0.0, 0.9, 0.7, 0.3), ("chin", 0.0, 1.0, 0.9, 0.5)), 0.75, (2.0, 6.0)),  # speech
            ((("mouth corner", -0.8, 0.1, 0.4, 0.4),), 0.35, (2.0, 6.0)),
        ),
        shades=(0.06,),
        cameras=((1.0, 1.0, 1.0), (0.75, 1.3, 0.9)),
    ),
}


def film(
    person: Identity,
    action_units: Sequence[str],
    camera: Camera,
    rng: np.random.Generator,
    window: Window | None = None,
    tier: Tier = TIERS["easy"],
) -> tuple[np.ndarray, int]:
    """Film `person` while `action_units` (of `ACTION_UNITS`) rise and fall once, 0.16 to 0.28 s in all.

    The frames come back, (N, H, W, 3) uint8 RGB from onset to offset, and the index of the apex among them.
    `window` is what is in the picture; by default the face alone, size×size. `rng` decides everything else. What
    `tier` adds to disturb has random numbers of its own, so that those of the easy tier stay as they are.
    """
    window = window or Window(0, 0, camera.size, camera.size)
    light = (rng.uniform(-0.8, 0.8), rng.uniform(-0.7, 0.1))
    portrait = Portrait(person, camera.size, light, window)
    n_frames = int(rng.uniform(0.16, 0.28) * camera.fps)
    apex = int(n_frames * rng.uniform(0.35, 0.6))
    envelope = rise_and_fall(n_frames, apex, rng)
    pose = _Pose(portrait, n_frames, rng)
    disturbance = _Disturbance(portrait, camera, tier, n_frames, rng)
    # The class enters here and nowhere above.
    strength = camera.amplitude * rng.uniform(0.7, 1.3)
    columns = np.arange(camera.size, dtype=np.float32)
    asymmetry = 1 + rng.normal(0, 0.12) * np.sign(columns - portrait.centre[0])
    movement = sum(disturbance.fields[unit] for unit in action_units) * (strength * asymmetry)
    frames = []
    for t in range(n_frames):
        field = disturbance.field(t) + movement * (envelope[t] - 0.5)
        frames.append(disturbance.sense(pose.picture(t, field.astype(np.float32)), t, rng))
    return np.stack(frames), apex


def displacement(pulls: Sequence[Pull], portrait: Portrait) -> np.ndarray:
    """How far `pulls` move each pixel of a face at full strength: (2, size, size) float32, x and y."""
    places, centre, unit, size = portrait.person.landmarks(), portrait.centre, portrait.unit, portrait.size
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32)
    field = np.zeros((2, size, size), np.float32)
    for landmark, outwards, down, width, height in pulls:
        across, below = places[landmark]
        for side in (-1, 1) if across else (1,):
            x, y = centre[0] + side * across * unit, centre[1] + below * unit
            bump = np.exp(-0.5 * (((columns - x) / (width * unit)) ** 2 + ((rows - y) / (height * unit)) ** 2))
            field += np.stack([bump * outwards * side, bump * down])
    return field


def rise_and_fall(n_frames: int, apex: int, rng: np.random.Generator) -> np.ndarray:
    """Intensity over time: raised cosines from 0 at the onset to 1 at the apex and (almost) back."""
    t = np.arange(n_frames)
    fall = (t - apex) / (n_frames - 1 - apex) * rng.uniform(0.8, 1)
    return np.where(t <= apex, 0.5 - 0.5 * np.cos(np.pi * t / apex), 0.5 + 0.5 * np.cos(np.pi * fall))


class _Pose:
    """A head that is a little off centre and drifts by about half a pixel."""

    def __init__(self, portrait: Portrait, n_frames: int, rng: np.random.Generator) -> None:
        self.portrait = portrait
        self.roll = np.deg2rad(rng.uniform(-3, 3))
        self.shift = rng.uniform(-1.5, 1.5, 2)
        phase = rng.uniform(0, 2 * np.pi, (4, 1))
        speed = np.pi * rng.uniform(0.3, 1) / n_frames
        extent = np.array([[0.5], [0.5], [0.004], [0.003]]) * rng.uniform(0.3, 1)  # x, y, roll, scale
        self.drift = (np.sin(speed * np.arange(n_frames) + phase) - np.sin(phase)) * extent

    def picture(self, t: int, field: np.ndarray) -> np.ndarray:
        """The window at frame t, (H, W, 3), of the face moved by the displacement `field`."""
        (left, top, width, height), centre = astuple(self.portrait.window), self.portrait.centre
        rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
        x = columns + left - centre[0] - self.shift[0] - self.drift[0, t]
        y = rows + top - centre[1] - self.shift[1] - self.drift[1, t]
        roll, scale = self.roll + self.drift[2, t], 1 + self.drift[3, t]
        cos, sin = np.cos(roll), np.sin(roll)
        turned = (cos * x + sin * y) / scale + centre[0], (cos * y - sin * x) / scale + centre[1]
        x, y = (places.astype(np.float32) for places in turned)  # what each pixel shows of the upright face
        moved = [cv2.remap(component, x, y, cv2.INTER_LINEAR) for component in field]
        source_x = (x - moved[0] - left + 0.5) * SUPERSAMPLING - 0.5
        source_y = (y - moved[1] - top + 0.5) * SUPERSAMPLING - 0.5
        image, edge = self.portrait.image, cv2.BORDER_REPLICATE
        return np.asarray(cv2.remap(image, source_x, source_y, cv2.INTER_CUBIC, borderMode=edge))


class _Disturbance:
    """All that has no class: resting face, blink, tremor, flicker and sensor noise; and what the tier adds.

    The latter, movements that sway and soft shades that pass over the face, has random numbers of its own.
    """

    def __init__(self, portrait: Portrait, camera: Camera, tier: Tier, n_frames: int, rng: np.random.Generator) -> None:
        self.camera = camera
        self.fields = {unit: displacement(pulls, portrait) for unit, pulls in ACTION_UNITS.items()}
        self.resting = {unit: rng.uniform(-camera.resting, camera.resting) for unit in self.fields if unit != BLINK}
        t = np.arange(n_frames)
        blinks, moment = rng.uniform() < tier.blinks, rng.uniform(0, n_frames)
        self.blink = 2.2 * blinks * np.exp(-0.5 * ((t - moment) / (0.025 * camera.fps)) ** 2)
        shake = rng.standard_normal((n_frames, len(self.fields))).astype(np.float32)
        self.tremor = 0.08 * cv2.GaussianBlur(shake, (1, 9), sigmaX=1, sigmaY=2)
        flicker = 0.012 * np.sin(2 * np.pi * rng.uniform(1, 9) * t / camera.fps + rng.uniform(0, 2 * np.pi))
        self.gain = 1 + flicker + 0.004 * rng.standard_normal(n_frames)
        rng = rng.spawn(1)[0]
        self.sways = []
        for pulls, largest, rates in tier.sways:
            extent = largest * camera.size / Camera.size * rng.uniform(0.3, 1)
            course = np.sin(2 * np.pi * (rng.uniform(*rates) * (t / camera.fps) + rng.uniform()))
            self.sways.append((displacement(pulls, portrait), extent * course))
        window = portrait.window
        self.rows, self.columns = np.mgrid[0 : window.height, 0 : window.width].astype(np.float32)
        self.shades = []
        for strength in tier.shades:
            start, end = rng.uniform(-1.5, 1.5, (2, 2)) * portrait.unit + portrait.centre - (window.left, window.top)
            path = start + (end - start) * np.linspace(0, 1, n_frames)[:, None]
            self.shades.append((strength * rng.uniform(-1, 1), portrait.unit * rng.uniform(0.5, 1.2), path))

    def field(self, t: int) -> np.ndarray:
        """The displacement at frame t, (2, size, size)."""
        total = self.fields[BLINK] * self.blink[t]
        for unit, amount in self.resting.items():
            total = total + self.fields[unit] * amount
        for field, tremor in zip(self.fields.values(), self.tremor[t], strict=True):
            total = total + field * tremor
        return np.asarray(total + sum(field * course[t] for field, course in self.sways))

    def sense(self, image: np.ndarray, t: int, rng: np.random.Generator) -> np.ndarray:
        """What the sensor makes of `image`, (H, W, 3): shades, flicker, noise, 8 bits."""
        light: np.ndarray | float = 1.0
        for strength, width, path in self.shades:
            distance = np.hypot(self.columns - path[t, 0], self.rows - path[t, 1]) / width
            light = light * (1 + strength * np.exp(-0.5 * distance**2))[..., None]
        noise = rng.normal(0, self.camera.grey_noise, (*image.shape[:2], 1))
        noise = noise + rng.normal(0, self.camera.colour_noise, image.shape)
        return np.clip(np.rint(image * light * self.gain[t] + noise), 0, 255).astype(np.uint8)
