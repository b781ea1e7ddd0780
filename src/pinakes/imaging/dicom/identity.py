"""Which elements of a DICOM data set tell who is shown: what PS3.15, annex E, would not let pass."""

from typing import Final

from pydicom.dataset import Dataset

from pinakes.imaging.dicom.parsing import code, value

_KEYWORDS: Final = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientBirthTime",
    "PatientAge",
    "PatientSex",
    "PatientSize",
    "PatientWeight",
    "PatientAddress",
    "PatientTelephoneNumbers",
    "PatientMotherBirthName",
    "PatientBirthName",
    "PatientComments",
    "OtherPatientIDs",
    "OtherPatientIDsSequence",
    "OtherPatientNames",
    "EthnicGroup",
    "Occupation",
    "AdditionalPatientHistory",
    "MedicalRecordLocator",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "SeriesDate",
    "AcquisitionDate",
    "AcquisitionDateTime",
    "ContentDate",
    "StudyDescription",
    "SeriesDescription",
    "ImageComments",
    "InstitutionName",
    "InstitutionAddress",
    "InstitutionalDepartmentName",
    "StationName",
    "DeviceSerialNumber",
    "ReferringPhysicianName",
    "PerformingPhysicianName",
    "NameOfPhysiciansReadingStudy",
    "PhysiciansOfRecord",
    "OperatorsName",
    "RequestingPhysician",
    "BarcodeValue",
    "ContainerIdentifier",
    "SpecimenDescriptionSequence",
)


def identity_in(dataset: Dataset) -> tuple[str, ...]:
    """Names such as "DICOM PatientName" of the elements that have a value, and of what else tells."""
    found = [keyword for keyword in _KEYWORDS if value(dataset, keyword) is not None]
    if any(tag.is_private for tag in dataset.keys()):  # noqa: SIM118  (its iterator would convert every value)
        found.append("private elements")
    if any(tag.group & 0xFF01 == 0x6000 for tag in dataset.keys()):  # noqa: SIM118
        found.append("overlays")
    if code(dataset, "BurnedInAnnotation") == "YES":
        found.append(BURNED_IN)
    return tuple(f"DICOM {name}" for name in found)


BURNED_IN: Final = "text in the pixels"
