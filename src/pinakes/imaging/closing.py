"""What is closed at the end of a `with` block, whatever happened in it."""

from abc import ABC, abstractmethod
from typing import Self


class Closing(ABC):
    """Base of what holds files or processes."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what is held; more than once is once."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
