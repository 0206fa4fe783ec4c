"""A problem written on the blackboard: derive its equation, solve it, ask it."""

import hjbdsl

TEXT = """
problem fishery "harvest a stock that grows at a random rate"
param   g = 0.04 "growth", sigma = 0.2, rho = 0.07 "discount rate", gamma = 1.5
state   x > 0 "biomass"
control h >= 0 "harvest"
noise   W
dx = (g*x - h) dt + sigma*x dW
maximize E integral(0, inf) exp(-rho*t)*h^(1 - gamma)/(1 - gamma) dt
"""

problem = hjbdsl.loads(TEXT)
print(problem.hjb)

solution = problem.solve()
print(f"\n{solution.method}, {solution.status}")
for biomass in (0.5, 1.0, 2.0):
    harvest = solution.policy(x=biomass)["h"]
    print(f"x = {biomass}: V = {solution(x=biomass):.6f} +- {solution.error(x=biomass):.0e}, harvest {harvest:.6f}")
