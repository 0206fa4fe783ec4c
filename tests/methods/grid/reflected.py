"""Reflected states that several tests of the grid ask about."""

WALLS = """problem walls
state x in [0, 1]
noise W
dx = 0.5 dW
evaluate E integral(0, inf) exp(-0.3*t)*cos(pi*x) dt
boundary x = 0 : reflect
boundary x = 1 : reflect
region x in [0, 1]
"""  # V = cos(pi x) / (0.3 + pi^2/8)

DRIFT_TO_A_WALL = """problem wall
state x in [0, 1]
noise W
dx = -0.7 dt + 0.5 dW
evaluate E integral(0, inf) exp(-0.2*t)*x dt
boundary x = 0 : reflect
boundary x = 1 : reflect
region x in [0, 1]
"""
