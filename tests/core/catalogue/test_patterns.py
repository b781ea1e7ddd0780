"""What a pattern matches, by itself; what that opens to whom is tested in the policy and the Atmosphere API."""

import re
import unicodedata

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import bindparam, literal, select

from pinakes.core.catalogue.patterns import like_folded
from pinakes.core.text import fold
from tests.conftest import Backend

TEXTS = st.text(st.sampled_from("aAbß_%\\*.@ÄäİŉΣς"), max_size=8)
_MATCHES = select(literal(1)).where(bindparam("name").like(bindparam("pattern"), escape="\\"))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pattern=TEXTS, name=TEXTS)
def test_the_database_matches_an_asterisk_with_any_text_and_all_else_with_itself(
    backend: Backend, pattern: str, name: str
) -> None:
    expression = ".*".join(re.escape(part.casefold()) for part in pattern.split("*"))
    is_expected = re.fullmatch(expression, name.casefold(), re.DOTALL) is not None
    with backend.database.read() as connection:
        parameters = {"name": fold(name), "pattern": like_folded(pattern)}
        found = connection.execute(_MATCHES, parameters).scalar_one_or_none()
    assert (found is not None) is is_expected


def test_the_longest_pattern_fits_its_column_however_it_folds() -> None:
    longest = max(len(fold(chr(point))) for point in range(0x110000) if unicodedata.category(chr(point)) != "Cs")
    escaped = max(len(like_folded(sign)) for sign in "%_\\")
    assert 256 * max(longest, escaped) <= 1024
