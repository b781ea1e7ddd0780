"""From core values to the JSON of tscharts: its field names, its dates and its times."""

from dataclasses import fields
from datetime import date, tzinfo
from typing import Any

from pinakes.core.clinic.records.clinics import Clinic
from pinakes.core.clinic.records.clinicstations import ClinicStation
from pinakes.core.clinic.records.patients import Patient, PatientDetails
from pinakes.core.clinic.records.registrations import Registration
from pinakes.core.clinic.records.stations import Station
from pinakes.core.clock import Instant, to_datetime

PATIENT_FIELDS = tuple(field.name for field in fields(PatientDetails))
"""The members of a patient beside `id`: the wire has the core's names."""

STATES = frozenset(
    {
        "Aguascalientes",
        "Baja California",
        "Baja California Sur",
        "Chihuahua",
        "Colima",
        "Campeche",
        "Coahuila",
        "Chiapas",
        "Federal District",
        "Durango",
        "Guerrero",
        "Guanajuato",
        "Hidalgo",
        "Jalisco",
        "México State",
        "Michoacán",
        "Morelos",
        "Nayarit",
        "Nuevo León",
        "Oaxaca",
        "Puebla",
        "Querétaro",
        "Quintana Roo",
        "Sinaloa",
        "San Luis Potosí",
        "Sonora",
        "Tabasco",
        "Tlaxcala",
        "Tamaulipas",
        "Veracruz",
        "Yucatán",
        "Zacatecas",
    }
)
"""The states of Mexico, spelt as the clients spell them (contract P2)."""


def clinic(value: Clinic) -> dict[str, Any]:
    return {
        "id": value.id,
        "start": date_text(value.start),
        "end": date_text(value.end),
        "location": value.location,
    }


def station(value: Station) -> dict[str, Any]:
    return {"id": value.id, "name": value.name, "level": value.level}


def clinicstation(value: ClinicStation, zone: tzinfo) -> dict[str, Any]:
    return {
        "id": value.id,
        "name": value.name,
        "name_es": value.name_es,
        "clinic": value.clinic_id,
        "station": value.station_id,
        "active": value.is_active,
        "away": value.is_away,
        "finished": value.is_finished,
        "level": value.level,
        "awaytime": value.away_minutes,
        "willreturn": time_text(value.will_return_at, zone),
        "activepatient": value.active_patient_id,
        "nextpatient": value.next_patient_id,
    }


def patient(value: Patient) -> dict[str, Any]:
    """All 22 members (contract P5)."""
    details = value.details
    members = {"id": value.id} | {name: getattr(details, name) for name in PATIENT_FIELDS}
    return members | {"dob": date_text(details.dob), "gender": details.gender.value}


def registration(value: Registration, zone: tzinfo) -> dict[str, Any]:
    return {
        "id": value.id,
        "clinic": value.clinic_id,
        "patient": value.patient_id,
        "timein": time_text(value.time_in_at, zone),
        "timeout": time_text(value.time_out_at, zone),
        "state": value.state.value,
    }


def date_text(day: date) -> str:
    """month/day/year with zeros in front (contract K1)."""
    return f"{day.month:02}/{day.day:02}/{day.year:04}"


def time_text(instant: Instant, zone: tzinfo) -> str:
    """The clinic's local time, ISO 8601 without a zone (contract section 6)."""
    return to_datetime(instant).astimezone(zone).replace(tzinfo=None).isoformat(timespec="microseconds")
