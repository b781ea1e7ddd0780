"""The same users as for namespaces."""

from tests.core.namespaces.conftest import ana, ben

__all__ = ["ana", "ben"]
