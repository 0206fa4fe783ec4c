"""Continuous-time q-learning: value and advantage rate from transitions alone."""
