"""A small satellite: orbit, attitude, electric power, heat and radio, each in a module of its own."""

from podium.sim.satellite.satellite import Satellite

__all__ = ["Satellite"]
