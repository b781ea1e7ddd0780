"""Clients that the tests of more than one API ask their `world` for."""

import pytest

from tests.contracts.serving import ApiClient, ApiWorld


@pytest.fixture
def ana(world: ApiWorld[ApiClient]) -> ApiClient:
    return world.user("ana")


@pytest.fixture
def ben(world: ApiWorld[ApiClient]) -> ApiClient:
    return world.user("ben")


@pytest.fixture
def nobody(world: ApiWorld[ApiClient]) -> ApiClient:
    return world.stranger()
