"""Paths of the controlled process: one integrator for simulation, learning and evidence."""
