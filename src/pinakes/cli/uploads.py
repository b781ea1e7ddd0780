"""`pinakes upload-key`: what a program needs to make forms for the upload of slides by itself."""

from pinakes.cli import console
from pinakes.cli.session import Data, archive_of
from pinakes.failures import Failed


def upload_key(data: Data = None) -> None:
    """Print the key pair that forms for slides are signed with, as boto3 reads it from the environment."""
    with archive_of(data) as archive:
        pair = archive.slide_uploads.signing_key
        if pair is None:
            raise Failed("slides go straight to the S3 bucket here: their forms are signed with the keys of that")
        console.result(f"AWS_ACCESS_KEY_ID={pair.access_key}")
        console.result(f"AWS_SECRET_ACCESS_KEY={pair.secret}")
