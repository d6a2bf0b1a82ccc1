"""The geometry and light of the drawn part: a flange plate with a turned boss, a bore, bolt holes and engraved text."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

HEIGHT, WIDTH = 480, 640
HALF = (225.0, 150.0)                                             # half width and height of the plate, px
HOLES = ((-178.0, -104.0), (178.0, -104.0), (178.0, 104.0), (-178.0, 104.0))
BOSS, BORE, HOLE = 108.0, 46.0, 19.0                              # radii, px
ENGRAVED = (("AISLE", (-206, 6), 0.72), ("F-4016", (122, 6), 0.62))


@dataclass(frozen=True)
class Pose:
    """Where the part lies: shift in px, turn in radians, and the light's direction in radians."""

    dx: float
    dy: float
    turn: float
    light: float

    def to_part(self) -> tuple[np.ndarray, np.ndarray]:
        """Part coordinates of every pixel: two float32 (480, 640), the origin in the middle of the bore."""
        y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
        x, y = x - (WIDTH / 2 + self.dx), y - (HEIGHT / 2 + self.dy)
        cos, sin = np.float32(np.cos(self.turn)), np.float32(np.sin(self.turn))
        return cos * x + sin * y, cos * y - sin * x

    def to_image(self, u: float, v: float) -> tuple[float, float]:
        """Pixel (x, y) of a point of the part."""
        cos, sin = np.cos(self.turn), np.sin(self.turn)
        return WIDTH / 2 + self.dx + cos * u - sin * v, HEIGHT / 2 + self.dy + sin * u + cos * v


@dataclass
class Surface:
    """The part from above, float32 (480, 640) each: height in px, share of metal in a pixel (0..1), its brightness."""

    height: np.ndarray
    metal: np.ndarray
    tone: np.ndarray


def smooth(distance: np.ndarray, width: float = 1.0) -> np.ndarray:
    """1 where `distance` is below -width, 0 above +width, a soft step between: an edge without stairs."""
    t = np.clip((width - distance) / (2 * width), 0, 1)
    return t * t * (3 - 2 * t)


def _plate(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Signed distance to the rounded plate, negative inside."""
    corner = 34.0
    du, dv = np.abs(u) - (HALF[0] - corner), np.abs(v) - (HALF[1] - corner)
    outside = np.hypot(np.maximum(du, 0), np.maximum(dv, 0))
    return outside + np.minimum(np.maximum(du, dv), 0) - corner


def _engraving(pose: Pose) -> np.ndarray:
    """How deep the text is cut at every pixel, 0..1."""
    canvas = np.zeros((HEIGHT, WIDTH), np.uint8)
    for text, (u, v), scale in ENGRAVED:
        at = (int(WIDTH / 2 + u), int(HEIGHT / 2 + v))
        cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_DUPLEX, scale, 255, 1, cv2.LINE_AA)
    matrix = np.array([[np.cos(pose.turn), -np.sin(pose.turn), 0], [np.sin(pose.turn), np.cos(pose.turn), 0]])
    centre = np.array([WIDTH / 2, HEIGHT / 2])
    matrix[:, 2] = centre - matrix[:, :2] @ centre + np.array([pose.dx, pose.dy])
    turned = cv2.warpAffine(canvas, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC)
    return cv2.GaussianBlur(turned.astype(np.float32) / 255, (0, 0), 0.8)


def _texture(u: np.ndarray, v: np.ndarray, radius: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Brush marks along the plate, turning marks around the boss: float32, about -1..1."""
    def lines(length: int, softness: float) -> np.ndarray:
        raw = cv2.GaussianBlur(rng.standard_normal((1, length)).astype(np.float32), (0, 0), softness)[0]
        return raw / raw.std()
    streaks = rng.standard_normal((512, 96)).astype(np.float32)
    streaks = cv2.GaussianBlur(streaks, (0, 0), sigmaX=3.0, sigmaY=0.8)
    streaks /= streaks.std()
    brushed = cv2.remap(streaks, (u + 320) * (95 / 640), v + 256, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    rings = lines(1200, 1.6)[np.clip(radius * 8, 0, 1199).astype(np.int32)]
    on_boss = smooth(radius - BOSS)
    return brushed * (1 - on_boss) * 0.75 + rings * on_boss * 0.8


def surface(pose: Pose, rng: np.random.Generator, *, without_hole: int | None = None) -> Surface:
    """The part in `pose`, its texture drawn from `rng`; `without_hole` 0..3 names a bolt hole that was not drilled."""
    u, v = pose.to_part()
    plate, radius = _plate(u, v), np.hypot(u, v)
    height = 14 * smooth(plate, 3.5) + 9 * smooth(radius - BOSS, 3.0) + 2.5 * smooth(np.abs(radius - 84) - 4, 1.5)
    metal = smooth(plate)
    for i, (hu, hv) in enumerate(HOLES):
        if i != without_hole:
            far = np.hypot(u - hu, v - hv)
            height -= 5 * smooth(far - (HOLE + 6), 4.0)
            metal *= 1 - smooth(far - HOLE)
    height -= 6 * smooth(radius - (BORE + 4), 3.0)
    metal = metal * (1 - smooth(radius - BORE))
    cut = _engraving(pose) * metal
    texture = _texture(u, v, radius, rng)
    angle = np.arctan2(v, u)
    fan = np.cos(2 * (angle - pose.light)) * smooth(radius - BOSS) * 0.09     # turned metal gleams in a bow tie
    tone = (0.60 + 0.035 * texture + fan) * (1 - 0.45 * cut)
    return Surface(height - 2.0 * cut, metal, tone.astype(np.float32))


def render(part: Surface, pose: Pose, rng: np.random.Generator) -> np.ndarray:
    """Light the surface: float32 (480, 640, 3) BGR in 0..1 before the camera."""
    slope_x = cv2.Sobel(part.height.astype(np.float32), cv2.CV_32F, 1, 0, scale=1 / 8)
    slope_y = cv2.Sobel(part.height.astype(np.float32), cv2.CV_32F, 0, 1, scale=1 / 8)
    norm = np.sqrt(slope_x**2 + slope_y**2 + 1)
    light = np.array([np.cos(pose.light), np.sin(pose.light), 1.6])
    light /= np.linalg.norm(light)
    diffuse = np.clip((-slope_x * light[0] - slope_y * light[1] + light[2]) / norm, 0, None) / light[2]
    gleam = np.clip((-slope_x * light[0] - slope_y * light[1] + 1.9) / (norm * 2.0), 0, 1) ** 24
    y, x = np.mgrid[-1:1:HEIGHT * 1j, -1:1:WIDTH * 1j].astype(np.float32)
    falloff = 1 + 0.07 * (np.cos(pose.light) * -x + np.sin(pose.light) * -y) - 0.06 * (x * x + y * y)
    metal = (part.tone * diffuse * 0.92 + 0.16 * gleam) * falloff
    mat = 0.13 + 0.012 * cv2.GaussianBlur(rng.standard_normal((HEIGHT, WIDTH)).astype(np.float32), (0, 0), 1.2) * 3
    shadow = cv2.GaussianBlur(part.metal, (0, 0), 7)
    move = np.array([[1, 0, -9 * light[0]], [0, 1, -9 * light[1]]])
    mat = mat * falloff * (1 - 0.55 * cv2.warpAffine(shadow, move, (WIDTH, HEIGHT)))
    grey = (metal * part.metal + mat * (1 - part.metal))[..., None]
    tint = part.metal[..., None] * np.array([1.0, 0.985, 0.965], np.float32) + (1 - part.metal[..., None]) * np.array(
        [1.12, 1.0, 0.9], np.float32)
    return (grey * tint).astype(np.float32)
