"""Small problems with known answers, for tables and pictures."""

REGULATOR = """\
problem regulator
param q = 4 "weight of the state", r = 1
state x in R "distance [m]"
control a in R
dx = a dt
minimize integral(0, inf) (q*x^2 + r*a^2) dt
region x in [-2, 2]
check V = sqrt(q*r)*x^2
variant cheap: r = 0.25
"""
TIMED = """\
state x in R^2
control a in R^2
noise W in R^2
dx = a dt + 0.3 dW
minimize E [ integral(0, 1) (|x|^2 + |a|^2) dt + |x(1)|^2 ]
region x in [-1, 1]
"""
REGIMES = """\
mode z in {good, bad}
rate good -> bad = 0.3, bad -> good = 0.5
param mu(z) = {good: 0.08, bad: -0.02}, rho = 0.06
state x > 0
control k > 0
noise W
dx = x*(mu(z) - k) dt + 0.2*x dW
maximize E integral(0, inf) exp(-rho*t)*log(k*x) dt
region x in [0.5, 3]
"""
PUT = """\
param r = 0.05, sigma = 0.3, K = 100
state x > 0
noise W
dx = r*x dt + sigma*x dW
stopping tau in [0, inf]
maximize E exp(-r*tau)*max(K - x(tau), 0)
region x in [40, 160]
"""
DISC = """\
state x in R^2
control u in R^2
subject to |u| <= 1
noise W in R^2
dx = u dt + dW
exit tau when |x| >= 1
maximize E tau
region x in [-1, 1]
"""
