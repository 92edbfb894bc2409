"""The maths: temporal operators, pyramid, magnification."""

from preprocess.motion.magnify import magnified, quantise, render
from preprocess.motion.temporal import temporal_plan

__all__ = ["magnified", "quantise", "render", "temporal_plan"]
