"""What is written down about an exception: its type and where it came from, never its message.

A message may quote SQL with its parameters, a path, or what a patient is called (DESIGN.md rule 7).
"""

import logging
import traceback


def describe(error: BaseException) -> str:
    """Types and frames of an exception and of what caused it, on one line each."""
    lines: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        kind = type(current)
        frames = traceback.extract_tb(current.__traceback__)
        places = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))
        lines.append(f"{kind.__module__}.{kind.__qualname__} at {places or 'an unknown place'}")
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return "\n  because of ".join(lines)


def log_fault(log: logging.Logger, what: str, error: BaseException) -> None:
    """Log an unexpected exception without its message."""
    log.error("%s: %s", what, describe(error))
