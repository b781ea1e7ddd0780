"""The same archive and users as for namespaces."""

from tests.core.namespaces.conftest import ana, archive, ben

__all__ = ["ana", "archive", "ben"]
