"""From a team of agents to one agent with skills (arXiv 2601.04748): read, check, compile, compare."""

from prowess.evolve.compiling.compiler import compile_team
from prowess.evolve.compiling.conditions import Doubt, check
from prowess.evolve.compiling.definition import Hand, Role, Team, read_team

__all__ = ["Doubt", "Hand", "Role", "Team", "check", "compile_team", "read_team"]
