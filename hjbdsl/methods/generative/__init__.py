"""Generative problems: scores trained from data, samplers, likelihoods, control on top."""
