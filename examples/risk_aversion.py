"""Sweep a parameter: the share in the stock and the rate of consumption against risk aversion."""

from pathlib import Path

import hjbdsl

MERTON = Path(__file__).parent.parent / "problems" / "merton.hjb"

print(" gamma   share   consumption   V(1)")
for gamma in (1.5, 2, 3, 5, 8):
    solution = hjbdsl.load(str(MERTON), gamma=gamma).solve()
    policy = solution.policy(x=1.0)
    print(f"{gamma:6.1f}  {policy['pi']:6.4f}  {policy['k']:12.6f}  {solution(x=1.0):12.4f}")

try:
    hjbdsl.load(str(MERTON), gamma=0.2, rho=0.01).solve()
except hjbdsl.HjbError as ill_posed:
    print(f"\ngamma = 0.2, rho = 0.01:\n{ill_posed}")
