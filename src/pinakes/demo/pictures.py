"""Real pictures, from the test data that scikit-image and pydicom carry. The files are taken as they are."""

import importlib.util
from pathlib import Path

from pinakes.failures import Failed

_INSTALL = "the demo takes its pictures from scikit-image and pydicom: install them, as by `pip install pinakes[demo]`"


class DemoUnavailable(Failed):
    """The demo cannot be loaded; the message says what to install."""


def photograph(name: str) -> Path:
    """A file of scikit-image's, such as `retina.jpg`. Raises DemoUnavailable."""
    return _file("skimage", Path("data", name))


def radiograph(name: str) -> Path:
    """A DICOM file of pydicom's, such as `CT_small.dcm`. Raises DemoUnavailable."""
    return _file("pydicom", Path("data", "test_files", name))


def _file(package: str, path: Path) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise DemoUnavailable(_INSTALL)
    file = Path(found.origin).parent / path
    if not file.is_file():
        raise DemoUnavailable(f"{_INSTALL} (the {package} that is installed has no {path.name})")
    return file
