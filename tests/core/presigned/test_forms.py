"""The fields of a form, the key pairs they are signed with, and the signatures (pathomiq contract 5.1, 5.2)."""

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from botocore.config import Config
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from pinakes.core.clock import from_datetime
from pinakes.core.db.engine import Database
from pinakes.core.db.schema import secrets
from pinakes.core.errors import InvalidFields, UploadRefused
from pinakes.core.presigned.authentication import authenticate
from pinakes.core.presigned.forms import PostForm
from pinakes.core.presigned.instants import parse_amz_date
from pinakes.core.presigned.integrity import check_features, claims
from pinakes.core.presigned.keys import KeyRing
from pinakes.core.presigned.policies import parse_policy
from pinakes.core.presigned.posts import V2, V4, PostOptions, parse_options, presigned_fields
from pinakes.core.presigned.signatures import KeyPair, sign_v2
from tests.conftest import Backend, MovableClock

PAIR = KeyPair("AKIDEXAMPLE", "invented/secret+key")
KEY = "0123456789abcdef0123456789abcdef"
REGION = "eu-north-1"


def find_key(access_key: str) -> KeyPair | None:
    return PAIR if access_key == PAIR.access_key else None


def ours(version: str, clock: MovableClock) -> dict[str, str]:
    options = PostOptions(signature_version=version)
    return presigned_fields(PAIR, bucket="slides", key=KEY, region=REGION, max_bytes=5, options=options, now=clock())


def boto3s(version: str, clock: MovableClock) -> dict[str, str]:
    client = boto3.client(
        "s3",
        region_name=REGION,
        aws_access_key_id=PAIR.access_key,
        aws_secret_access_key=PAIR.secret,
        config=Config(signature_version=version),
    )
    fields: dict[str, str] = client.generate_presigned_post("slides", KEY)["fields"]
    if version == V4:
        moment = parse_amz_date(fields["x-amz-date"])
        assert moment is not None
        clock.now = from_datetime(moment)
    return fields


def test_version_2_signs_the_policy_as_it_was_sent() -> None:
    """Contract 5.1, with a value computed elsewhere by `openssl dgst`."""
    assert sign_v2("key", "eyJhIjoxfQ==") == "HPU9ThOoTroovHGVOVn6B1OSik0="


@pytest.mark.parametrize("version", [V2, V4])
@pytest.mark.parametrize("make", [ours, boto3s])
def test_what_was_signed_is_believed_and_what_differs_in_one_character_is_not(
    version: str, make: Callable[[str, MovableClock], dict[str, str]], clock: MovableClock
) -> None:
    fields = make(version, clock)
    authenticate(PostForm.gather(fields.items(), None), find_key, REGION, clock())
    parse_policy(fields["policy"]).check(PostForm.gather(fields.items(), None), "slides", clock())
    name = "signature" if version == V2 else "x-amz-signature"
    for changed in ({name: fields[name][:-1]}, {name: f"{fields[name]}A"}, {"policy": f"{fields['policy']}A"}):
        with pytest.raises(UploadRefused, match="signature"):
            authenticate(PostForm.gather({**fields, **changed}.items(), None), find_key, REGION, clock())


@given(st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9)), max_size=9), st.none() | st.text(max_size=9))
def test_no_field_makes_the_judges_fail_in_any_other_way(pairs: list[tuple[str, str]], file_name: str | None) -> None:
    form = PostForm.gather([("key", KEY), *pairs], file_name)
    for judge in (claims, check_features, lambda form: authenticate(form, find_key, REGION, 0)):
        with contextlib.suppress(UploadRefused):
            judge(form)


@given(st.text())
def test_the_file_name_that_is_filled_in_has_no_folders(file_name: str) -> None:
    form = PostForm.gather([("key", "a/${filename}"), ("policy", "${filename}")], file_name)
    added = form.key.removeprefix("a/")
    assert "/" not in added
    assert "\\" not in added
    assert file_name.endswith(added)
    assert form.fields["policy"] == "${filename}"


def test_repeated_fields_are_joined_unless_they_may_be_given_only_once() -> None:
    pairs = [("x-amz-meta-a", "1"), ("X-Amz-Meta-A", "2"), ("key", "a"), ("KEY", "b")]
    assert PostForm.gather(pairs, None) == PostForm({"x-amz-meta-a": "1,2", "key": "a,b"}, ("key",))


def test_a_form_with_a_lone_quote_of_a_file_name_stays_as_it_is_without_one() -> None:
    assert PostForm.gather([("key", "${filename}")], None).key == "${filename}"
    assert PostForm.gather([("key", "${filename}")], "").key == ""


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["fields", "conditions", "expires_in", "acl"]), inner, max_size=3)
        ),
    )
)
def test_a_presign_is_read_or_refused(presign: object) -> None:
    with contextlib.suppress(InvalidFields):
        parse_options(presign)


@given(
    st.lists(
        st.sampled_from(
            [{"acl": "private"}, ["starts-with", "$Content-Type", "image/"], ["content-length-range", 0, "9"]]
        )
    )
)
def test_conditions_that_were_taken_make_a_policy_that_can_be_read(conditions: list[object]) -> None:
    options = parse_options({"conditions": conditions})
    fields = presigned_fields(PAIR, bucket="slides", key=KEY, region=REGION, max_bytes=5, options=options, now=0)
    assert len(parse_policy(fields["policy"]).conditions) == 2 + sum(
        not (isinstance(one, list) and one[0] == "content-length-range") for one in conditions
    )


# -- Keys ---------------------------------------------------------------------------------------------------------


def test_processes_that_start_at_once_agree_on_one_key_pair(backend: Backend, clock: MovableClock) -> None:
    databases = [Database(backend.database_url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        pairs = list(pool.map(lambda database: KeyRing(database, clock).signing, databases))
    for database in databases:
        database.close()
    assert len(set(pairs)) == 1
    assert KeyRing(backend.database, clock).find(pairs[0].access_key) == pairs[0]
    with backend.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(secrets)).scalar_one() == 1


def test_given_pairs_are_all_believed_and_nothing_is_made_up(backend: Backend, clock: MovableClock) -> None:
    ring = KeyRing(backend.database, clock, [PAIR, KeyPair("AKIDFORMER", "b")])
    assert ring.signing == PAIR
    assert ring.find("AKIDFORMER") == KeyPair("AKIDFORMER", "b")
    assert ring.find("AKIDSTRANGER") is None
    with backend.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(secrets)).scalar_one() == 0


def test_a_secret_is_in_no_repr() -> None:
    assert PAIR.secret not in repr(PAIR)
    assert PAIR.secret not in repr([PAIR])
