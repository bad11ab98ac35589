"""Logs of a company that does not exist, with a ranking that nobody can beat.

from malmoi.users.simulate import SimulationSettings, simulate

made = simulate(SimulationSettings(users=2000, seed=1))
made.logs, made.best, made.traits
"""

from malmoi.users.simulate.generator import Simulation, simulate
from malmoi.users.simulate.settings import SimulationSettings

__all__ = ["Simulation", "SimulationSettings", "simulate"]
