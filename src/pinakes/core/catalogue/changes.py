"""How a partial change is spelled: what stays as it is, where None says that a field is to be empty."""

import enum
from typing import Final


class Unchanged(enum.Enum):
    """The type of UNCHANGED."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED
"""The value of a field that stays as it is."""
