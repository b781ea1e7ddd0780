"""The server: its processes, the application in each of them, and what goes on beside the requests."""

from pinakes.server.processes import CannotServe, serve

__all__ = ["CannotServe", "serve"]
