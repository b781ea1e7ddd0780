"""The same archive, users and pictures as for renditions."""

from tests.core.renditions.conftest import ana, archive_options, ben, decoder, photograph, svs

__all__ = ["ana", "archive_options", "ben", "decoder", "photograph", "svs"]
