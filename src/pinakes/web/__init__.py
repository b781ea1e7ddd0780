"""HTTP tools shared by the APIs: mounts, bodies in and out, ranges, forms, JSON. It knows no API."""
