"""The maths: temporal operators, pyramid, magnification."""
