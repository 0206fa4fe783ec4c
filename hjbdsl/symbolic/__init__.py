"""From problem to equation: generator, optimum, obstacle, boundaries, their derivation, and how they are written."""
