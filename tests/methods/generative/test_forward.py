"""Forward moments, noise levels and preconditioning against integrals by scipy and conditional Gaussians by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate

from hjbdsl.frontend.load import loads_problem
from hjbdsl.methods.generative.forward import forward_process
from hjbdsl.methods.generative.precondition import frame_of, level_at
from tests.methods.generative.problems import COUPLED, VARIANCE_PRESERVING

C = np.array([[1.3, 0.4], [0.4, 0.8]])


def coupled():
    return forward_process(loads_problem(COUPLED), C)


def test_moments_solve_their_equations():
    forward, a, b = coupled(), np.array([[-0.4, 1], [-0.8, -0.3]]), np.array([0.3, -0.1])
    noise = np.array([[0.7, 0.2], [0, 0.9]])

    def slope(s, flat):
        move, shift, spread = flat[:4].reshape(2, 2), flat[4:6], flat[6:].reshape(2, 2)
        gained = (1 + s) ** 2 * noise @ noise.T
        return np.concatenate([(a @ move).ravel(), a @ shift + b, (a @ spread + spread @ a.T + gained).ravel()])

    found = integrate.solve_ivp(slope, (0, 0.9), np.concatenate([np.eye(2).ravel(), np.zeros(6)]), rtol=1e-10, atol=1e-12).y[
        :, -1
    ]
    now = forward.moments(0.9)
    flat = np.concatenate([now.transition.ravel(), now.offset, now.covariance.ravel()])
    assert flat == pytest.approx(found, rel=1e-7, abs=1e-9)


def test_levels_grow_and_are_inverted():
    forward = coupled()
    times = np.linspace(1e-6, 1.2, 50)
    levels = [forward.log_level(s) for s in times]
    assert np.all(np.diff(levels) > 0)
    assert [forward.time_of(level) for level in levels] == pytest.approx(times, rel=1e-8)
    step = 1e-5
    slope = (forward.log_level(0.5 + step) - forward.log_level(0.5 - step)) / (2 * step)
    assert forward.level_slope(0.5) == pytest.approx(slope, rel=1e-6)


def test_an_isotropic_level_is_noise_over_spread():
    forward = forward_process(loads_problem(VARIANCE_PRESERVING), 4 * np.eye(2))
    assert np.exp(forward.log_level(0.7)) == pytest.approx(np.sqrt((np.exp(2 * 0.7) - 1) / 4))


def test_noise_that_misses_a_component_is_refused():
    text = "param T = 1\nstate y in R^2\nnoise W\ndy = -y dt + [1, 0] dW\ndata y(0) ~ normal([0, 0], 1)\nreverse y on [0, T]\n"
    with pytest.raises(ValueError, match="does not reach every component"):
        forward_process(loads_problem(text), np.eye(2))


def full(matrix):
    return matrix if matrix.ndim == 2 else np.diag(matrix)


@pytest.mark.parametrize("prediction", ["residual", "noise", "score"])
@pytest.mark.parametrize("text", [COUPLED, VARIANCE_PRESERVING])
def test_preconditioning_is_conditional_gaussian_algebra(text, prediction):
    """With Gaussian data the best prediction is linear; each parametrisation must give the score -S^-1 e back."""
    forward, mean = forward_process(loads_problem(text), C), np.array([0.2, -0.3])
    frame, s = frame_of(forward, mean, C), 0.6
    level, now = level_at(forward, frame, prediction, s), forward.moments(s)
    u = frame.basis
    linear, out, whiten, add = (u @ full(m) @ u.T for m in (level.linear, level.out, level.whiten, level.add))
    total = now.transition @ C @ now.transition.T + now.covariance
    assert whiten @ total @ whiten.T == pytest.approx(np.eye(2), abs=1e-10)
    assert add @ add.T == pytest.approx(now.covariance, abs=1e-12)
    e = np.array([0.7, -1.1])
    best = {
        "residual": np.zeros(2),
        "noise": add.T @ np.linalg.solve(total, e),
        "score": -add.T @ np.linalg.solve(total, e),
    }[prediction]
    assert linear @ e + out @ best == pytest.approx(-np.linalg.solve(total, e), abs=1e-10)
    guess, rest = (u @ full(m) @ u.T for m in (level.guess, level.rest))
    assert guess == pytest.approx(C @ now.transition.T @ np.linalg.inv(total), abs=1e-10)
    assert rest @ rest == pytest.approx(C - guess @ now.transition @ C, abs=1e-10)
    # what the network adds is a change of E[y_0 | y], which changes the score by N^-1 F times it
    if prediction == "residual":
        assert out == pytest.approx(np.linalg.solve(now.covariance, now.transition @ rest), abs=1e-9)
