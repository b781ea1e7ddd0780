"""From core values to the JSON of images and their tags (atmosphere contract, section 2, 8.2)."""

from pinakes.apis.atmosphere import companions
from pinakes.apis.atmosphere.basics import Json, View, tag, url
from pinakes.core.actor import Visibility
from pinakes.core.catalogue.machine_listing import CatalogueImage
from pinakes.core.catalogue.taggings import Tagging


def image(shown: CatalogueImage, view: View) -> Json:
    """Alike in lists and by itself (contract D1 to D13)."""
    summary = companions.image(shown.summary, view)
    creator = summary.pop("user")
    return {
        **summary,
        "created_by": creator,
        "is_public": shown.visibility is Visibility.PUBLIC,
        "versions": [companions.version_summary(version, view.base) for version in shown.versions],
        "access_list": [companions.pattern(pattern, view.base) for pattern in shown.patterns],
        "metrics_url": url(view.base, "image_metrics", shown.summary.uid),
    }


def tagging(shown: Tagging, view: View) -> Json:
    """Contract T7."""
    return {
        "id": shown.id,
        "url": f"{view.base}/api/v2/image_tags/{shown.id}",
        "image": companions.image(shown.image, view),
        "tag": tag(shown.tag, view),
    }
