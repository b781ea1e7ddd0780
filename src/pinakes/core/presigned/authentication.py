"""Whether a form was signed with a key of ours; only then is its policy looked into (pathomiq contract 5.1, 5.5)."""

import re
from collections.abc import Callable, Mapping

from pinakes.core.clock import MINUTE, Instant, from_datetime
from pinakes.core.presigned.forms import AUTH_V2, AUTH_V4, PostForm
from pinakes.core.presigned.instants import parse_amz_date
from pinakes.core.presigned.refusals import Code, bad_argument, refuse
from pinakes.core.presigned.signatures import V4_ALGORITHM, KeyPair, are_equal, sign_v2, sign_v4

FindKey = Callable[[str], KeyPair | None]

_MAX_SKEW_US = 15 * MINUTE
_CREDENTIAL = re.compile(r"(?P<key>[^/]+)/(?P<day>[0-9]{8})/(?P<region>[^/]+)/s3/aws4_request")


def authenticate(form: PostForm, find_key: FindKey, region: str, now: Instant) -> None:
    """Raises UploadRefused unless the form carries a key, and a signature made with one that find_key knows."""
    if "key" not in form.fields:
        raise bad_argument("key", "The form must hold a field named key before the file.")
    auth = _auth_fields(form)
    if form.repeated:
        raise bad_argument(form.repeated[0], "The field may be given only once.")
    if auth is AUTH_V2:
        _authenticate_v2(form.fields, find_key)
    else:
        _authenticate_v4(form.fields, find_key, region, now)


def _auth_fields(form: PostForm) -> Mapping[str, str]:
    """Which of the two sets of fields the form has, whole."""
    sent = [auth for auth in (AUTH_V2, AUTH_V4) if any(name in form.fields for name in auth if name != "policy")]
    if not sent:
        raise refuse(Code.ACCESS_DENIED)
    if len(sent) > 1:
        raise bad_argument("signature", "The form is signed in two ways at once.")
    for name, shown in sent[0].items():
        if name not in form.fields:
            raise bad_argument(shown, f"The form must hold a field named {shown} before the file.")
    return sent[0]


def _authenticate_v2(fields: Mapping[str, str], find_key: FindKey) -> None:
    pair = _pair(find_key, fields["awsaccesskeyid"])
    _compare(sign_v2(pair.secret, fields["policy"]), fields["signature"])


def _authenticate_v4(fields: Mapping[str, str], find_key: FindKey, region: str, now: Instant) -> None:
    if fields["x-amz-algorithm"] != V4_ALGORITHM:
        raise bad_argument("x-amz-algorithm", f"The only algorithm is {V4_ALGORITHM}.")
    credential = _CREDENTIAL.fullmatch(fields["x-amz-credential"])
    if credential is None or credential["region"] != region:
        raise bad_argument("x-amz-credential", f"The credential must be KEY/yyyymmdd/{region}/s3/aws4_request.")
    moment = parse_amz_date(fields["x-amz-date"])
    if moment is None:
        raise bad_argument("x-amz-date", "The date must have the form yyyymmddThhmmssZ.")
    pair = _pair(find_key, credential["key"])
    _compare(sign_v4(pair.secret, credential["day"], region, fields["policy"]), fields["x-amz-signature"])
    if fields["x-amz-date"][:8] != credential["day"]:
        raise refuse(Code.ACCESS_DENIED, "The credential is not of the day of x-amz-date.")
    if from_datetime(moment) > now + _MAX_SKEW_US:
        raise refuse(Code.ACCESS_DENIED, "x-amz-date lies in the future.")


def _pair(find_key: FindKey, access_key: str) -> KeyPair:
    pair = find_key(access_key)
    if pair is None:
        raise refuse(Code.INVALID_ACCESS_KEY)
    return pair


def _compare(expected: str, given: str) -> None:
    if not are_equal(expected, given):
        raise refuse(Code.SIGNATURE_MISMATCH)
