"""DICOM: X-rays, CT, ultrasound and what else is one picture or a row of frames. Whole slides are left to `slides`."""

from pinakes.imaging.dicom.reading import open_dicom

__all__ = ["open_dicom"]
