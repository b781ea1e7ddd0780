"""Demo data for a first look: invented people, real pictures, and a line to paste for each protocol."""

from pinakes.demo.loading import load
from pinakes.demo.showing import Demonstration

__all__ = ["Demonstration", "load"]
