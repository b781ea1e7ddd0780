"""The test model, trained once."""

from pathlib import Path

import pytest

from tests.data.models import train_tissue_model


@pytest.fixture(scope="session")
def tissue_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its directory. Not to be written to."""
    return train_tissue_model.write(tmp_path_factory.mktemp("models") / "tissue-test")
