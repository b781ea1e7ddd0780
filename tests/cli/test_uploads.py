"""`pinakes upload-key`."""

from pinakes.core.archive import Archive
from tests.cli.conftest import Run


def test_the_printed_key_is_the_one_that_signs_and_there_is_none_for_forms_of_a_bucket(
    pinakes: Run, archive: Archive
) -> None:
    made = pinakes("upload-key")
    pair = archive.slide_uploads.signing_key
    if pair is None:
        assert "keys of that" in made.failure
    else:
        assert made.rows == [[f"AWS_ACCESS_KEY_ID={pair.access_key}"], [f"AWS_SECRET_ACCESS_KEY={pair.secret}"]]
        assert pinakes("upload-key").rows == made.rows
