"""Reachability beside hj-reachability: `rows()` and `references()` of `benchmarks.grid`.

Air3D, two aircraft in relative coordinates, is held against its exact solution where a barrier gives it; the double integrator
that keeps away from a wall has a closed form at every node. Both march the same nodes with WENO5 derivatives and third-order
steps (`very_high` there, in single precision; here in double). Of our two rows of Air3D the second has a quarter of the nodes
and is still no less accurate than hj-reachability, whose `times` are counted against it: the same accuracy, not the same nodes.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from benchmarks.row import Array, Reference, Row, Solve

SPEED, RADIUS, HORIZON = 5.0, 5.0, 2.8
AIR3D = """problem air3d
state x in R, y in R, psi in circle
control a in [-1, 1]
adversary b in [-1, 1]
dx = (-5 + 5*cos(psi) + a*y) dt
dy = (5*sin(psi) - a*x) dt
dpsi = (b - a) dt
maximize running_min(0, 2.8) sqrt(x^2 + y^2) - 5
region x in [-6, 20], y in [-10, 10]
"""
AIR3D_BOX = ((-6.0, 20.0), (-10.0, 10.0))
WALL = """problem wall
state x in R, v in R
control a in [-1, 1]
dx = v dt
dv = a dt
maximize running_min(0, 1.5) x
region x in [-0.5, 2], v in [-2, 1]
"""
DIFFUSING = """problem diffusing
state x in R, y in R
noise W, B
dx = (0.5*y - x) dt + 0.3 dW
dy = -y dt + 0.4 dB
evaluate E exp(-x(1)^2 - y(1)^2)
region x in [-1, 1], y in [-1, 1]
"""
WALL_BOX, WALL_HORIZON = ((-0.5, 2.0), (-2.0, 1.0)), 1.5


@functools.cache
def barrier(count: int = 2000, steps: int = 400) -> tuple[Array, Array]:
    """Points (count, 3) of Air3D and V(0) there, exactly: the barrier of each capture radius r, a game of kind (Isaacs 1965; Merz
    1972), is the level V = r - 5. It starts where the distance r is stationary, at the bearing psi/2 or psi/2 + pi, and is traced
    backwards along optimal play, costate beside state; kept to headings and times at which its two sides have not yet met."""
    generator = np.random.default_rng(0)
    r, psi, tau = generator.uniform(3.5, 9.0, count), generator.uniform(2.0, 4.3, count), generator.uniform(0.0, 0.9, count)
    side = generator.choice([1.0, -1.0], count)  # of the evader's turn: the pursuer turns the other way
    bearing = psi / 2.0 + np.where(side > 0.0, np.pi, 0.0)
    start = (r * np.cos(bearing), r * np.sin(bearing), psi, np.cos(bearing), np.sin(bearing), 0.0 * r)

    def backwards(s: Array, a: Array, b: Array) -> Array:
        x, y, angle, p, q, _ = s
        motion = (SPEED - SPEED * np.cos(angle) - a * y, a * x - SPEED * np.sin(angle), a - b)
        return np.array([*motion, -a * q, a * p, SPEED * (q * np.cos(angle) - p * np.sin(angle))])

    s, h, a, b = np.array(start), tau / steps, side, -side
    for k in range(steps):
        if k > 3:
            a, b = np.where(s[3] * s[1] - s[4] * s[0] - s[5] > 0.0, 1.0, -1.0), np.where(s[5] < 0.0, 1.0, -1.0)
        k1 = backwards(s, a, b)
        k2 = backwards(s + h / 2 * k1, a, b)
        k3 = backwards(s + h / 2 * k2, a, b)
        s = s + h / 6 * (k1 + 2 * k2 + 2 * k3 + backwards(s + h * k3, a, b))
    inside = (s[0] > -4.0) & (s[0] < 17.0) & (np.abs(s[1]) < 8.0)
    return s[:3].T[inside], (r - RADIUS)[inside]


def air3d_at(V: Array, first_angle: float) -> Array:
    """V on nodes (x, y, psi from `first_angle` round the circle) by splines at the points of the barrier."""
    from scipy.ndimage import map_coordinates  # noqa: PLC0415

    x = barrier()[0]
    low, high = np.array(AIR3D_BOX).T
    place = (x[:, :2] - low) / (high - low) * (np.array(V.shape[:2]) - 1)
    turn = np.mod(x[:, 2] - first_angle, 2.0 * np.pi) / (2.0 * np.pi) * V.shape[2]
    wrapped = np.pad(V, ((0, 0), (0, 0), (4, 4)), mode="wrap")
    return np.asarray(map_coordinates(wrapped, np.vstack([place.T, turn + 4.0]), order=3, mode="mirror"))


def wall_exactly(shape: tuple[int, int]) -> Array:
    """Full thrust away from the wall until it is left: the least x on the way."""
    x, v = np.meshgrid(*(np.linspace(*ends, n) for ends, n in zip(WALL_BOX, shape, strict=True)), indexing="ij")
    t = np.minimum(np.maximum(-v, 0.0), WALL_HORIZON)
    return x + v * t + t**2 / 2.0


def ours(text: str, cells: tuple[int, ...], shown: Callable[[Array, Array], Array]) -> Solve:
    """One march on nodes without padding; `shown` of V(0) and the last axis's nodes."""

    @functools.cache
    def runner() -> object:
        import math  # noqa: PLC0415

        from hjbdsl import pipeline  # noqa: PLC0415  the import is part of a cold start
        from hjbdsl.methods.grid.levels import Runner  # noqa: PLC0415

        return Runner(pipeline.derive(pipeline.loads(text)), 0.0, math.inf)

    def solve() -> tuple[Array | None, float, str]:
        run = runner()
        from hjbdsl.methods.grid.mesh import build_axes  # noqa: PLC0415

        axes = tuple(
            replace(axis, cells=(0, n, 0), widening=(0.0, 0.0), padded=(False, False))
            for axis, n in zip(build_axes(run.equation, 0.01, 16), cells, strict=True)
        )
        solved = run.level(axes, 1, None)
        V, steps = solved.level.V[0, 0], solved.numbers["steps"]
        return shown(V, solved.level.mesh.X[-1]), steps * V.size, f"{steps:.0f} steps"

    return solve


def theirs(system: str, shape: tuple[int, ...], shown: Callable[[Array, Array], Array]) -> Solve:
    """hj-reachability as it ships, accuracy very_high, its loop with a count of the steps."""

    @functools.cache
    def march() -> tuple[Callable, Array, Array]:
        import hj_reachability as hj  # noqa: PLC0415  a peer that need not be installed
        import jax  # noqa: PLC0415

        box, end = (AIR3D_BOX, HORIZON) if system == "air3d" else (WALL_BOX, WALL_HORIZON)
        ends = np.array([*box, (0.0, 2.0 * np.pi)] if system == "air3d" else box).T
        beyond = [hj.boundary_conditions.extrapolate] * 2 + [hj.boundary_conditions.periodic] * (len(shape) - 2)
        round_ = {"periodic_dims": 2} if system == "air3d" else {}
        grid = hj.Grid.from_lattice_parameters_and_boundary_conditions(
            hj.sets.Box(*ends), shape, **(round_ or {"boundary_conditions": beyond})
        )
        x = np.asarray(grid.states)
        values = np.hypot(x[..., 0], x[..., 1]) - RADIUS if system == "air3d" else x[..., 0]
        dynamics = hj.systems.Air3d() if system == "air3d" else wall_dynamics()
        settings = hj.SolverSettings.with_accuracy("very_high", hamiltonian_postprocessor=hj.solver.backwards_reachable_tube)

        def step(state: tuple) -> tuple:
            t, V, n = state
            return (*settings.time_integrator(settings, dynamics, grid, t, V, -end), n + 1)

        run = jax.jit(lambda V: jax.lax.while_loop(lambda state: state[0] > -end, step, (0.0, V, 0))[1:])
        return run, values, x[..., -1].ravel()[: shape[-1]]

    def solve() -> tuple[Array | None, float, str]:
        run, values, last = march()
        V, steps = (np.asarray(part) for part in run(values))
        return shown(V, last), float(steps) * V.size, f"{int(steps)} steps, very_high"

    return solve


def wall_dynamics() -> object:
    """The double integrator for hj-reachability."""
    import hj_reachability as hj  # noqa: PLC0415
    import jax.numpy as jnp  # noqa: PLC0415

    class DoubleIntegrator(hj.ControlAndDisturbanceAffineDynamics):
        def __init__(self) -> None:
            still = hj.sets.Box(jnp.zeros(1), jnp.zeros(1))
            super().__init__("max", "min", hj.sets.Box(-jnp.ones(1), jnp.ones(1)), still)

        def open_loop_dynamics(self, state: Array, time: float) -> Array:  # noqa: ARG002  the base's signature
            return jnp.array([state[1], 0.0])

        def control_jacobian(self, state: Array, time: float) -> Array:  # noqa: ARG002
            return jnp.array([[0.0], [1.0]])

        def disturbance_jacobian(self, state: Array, time: float) -> Array:  # noqa: ARG002
            return jnp.zeros((2, 1))

    return DoubleIntegrator()


def explicit_stages(cells: int, stages: int = 24, count: int = 5) -> Solve:
    """Stages of the explicit march of a 2-D diffusion whose rows never change, on one thread and on all, by the wall clock and
    the processor's; beside them what a stage takes that reads ten vectors and writes one at the rate of a = b + s c on as many
    threads."""

    def solve() -> tuple[Array | None, float, str]:
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

        import numba  # noqa: PLC0415

        from hjbdsl import pipeline  # noqa: PLC0415  the import is part of a cold start
        from hjbdsl.methods.grid.legendre import FixedRows  # noqa: PLC0415
        from hjbdsl.methods.grid.levels import Runner  # noqa: PLC0415
        from hjbdsl.methods.grid.mesh import Mesh, build_axes  # noqa: PLC0415

        def seconds(work: Callable[[], object]) -> Array:
            took = []
            for _ in range(count):
                began = time.perf_counter(), time.process_time()
                work()
                took.append((time.perf_counter() - began[0], time.process_time() - began[1]))
            return np.min(took, axis=0)

        run = Runner(pipeline.derive(pipeline.loads(DIFFUSING)), 0.0, np.inf)
        axes = tuple(replace(axis, cells=(0, cells, 0), widening=(0.0, 0.0)) for axis in build_axes(run.equation, 0.01, 16))
        program = run.program(Mesh.of(axes, tuple(axis.nodes(1) for axis in axes)))
        V = program.data(1.0, 3)
        newer, older, shares = V.copy(), V.copy(), np.tile([1.0, 0.0, 0.0, 1e-9, 0.0], (stages, 1))
        words = []
        for threads in sorted({1, numba.config.NUMBA_NUM_THREADS}):
            fixed = FixedRows(program, program.new_policy(), 1.0, threads)
            slope = fixed.slope(V)
            stage = seconds(lambda: fixed.stages(newer, older, V, slope, shares)) / stages  # noqa: B023  called at once
            parts = [slice(V.size * k // threads, V.size * (k + 1) // threads) for k in range(threads)]
            with ThreadPoolExecutor(threads) as pool:
                triad = seconds(lambda: list(pool.map(partial(triad_of, newer, older, V), parts)))  # noqa: B023
            (wall, processor), alone = 1e9 * stage / V.size, 1e9 * 11 / 5 * triad[0] / V.size
            words.append(f"{wall:.2f} ns on {threads} (cpu {processor:.2f}; from memory each time {alone:.2f})")
        return None, 0.0, "a stage: " + ", ".join(words)

    return solve


def triad_of(a: Array, b: Array, c: Array, part: slice) -> None:
    """a = b + 3 c in two passes: five vectors."""
    np.multiply(c[part], 3.0, out=a[part])
    np.add(a[part], b[part], out=a[part])


def rows() -> list[Row]:
    shape = (51, 41, 50)
    whole = lambda V, _: V  # noqa: E731
    at = lambda V, angles: air3d_at(V, float(angles[0]))  # noqa: E731
    name, size = "51 x 41 x 50 Air3D", int(np.prod(shape))
    return [
        Row("reach", f"{name} hjbdsl", size, ours(AIR3D, (50, 40, 50), at), "air3d"),
        Row("reach", "31 x 25 x 30 Air3D hjbdsl", 31 * 25 * 30, ours(AIR3D, (30, 24, 30), at), "air3d"),
        Row("reach", f"{name} hj-reachability", size, theirs("air3d", shape, at), "air3d"),
        Row("reach", "256^2 wall hjbdsl", 256**2, ours(WALL, (255, 255), whole), "wall"),
        Row("reach", "256^2 wall hj-reachability", 256**2, theirs("wall", (256, 256), whole), "wall"),
        Row("explicit", "2049^2 stages hjbdsl", 2049**2, explicit_stages(2048), None, False),
    ]


def references() -> dict[str, Reference]:
    return {"air3d": lambda: barrier()[1], "wall": lambda: wall_exactly((256, 256))}


__all__ = ["references", "rows"]
