from hjbdsl.frontend import ast
from hjbdsl.frontend.findings import Findings
from hjbdsl.model.problem import ControlProblem


def check_wellposed(problem: ControlProblem, statements: tuple[ast.Statement, ...], findings: Findings) -> None:
    return
