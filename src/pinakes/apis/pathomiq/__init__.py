"""The PathomIQ API: whole-slide images of a laboratory, their upload, prediction, annotation and sharing."""

from pinakes.apis.pathomiq.app import create
from pinakes.web.api import Api

API = Api(
    name="pathomiq",
    default_path="",
    create=create,
    parts=("/Users", "/Images", "/LogInfo", "/Annotations", "/S3"),
)
