"""Equations that a group of motions leaves as they are: one dimension is left, which the one-dimensional room solves.

`radial`: rotations about the origin. `homogeneous`: states that grow together.
"""
