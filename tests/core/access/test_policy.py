"""The one rule of who may see what, in Python and in SQL: over random worlds both say the same (DESIGN.md rule 4).

The oracle is built from the made-up world itself, not from what the database says of it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Table, delete, insert, select, update

from pinakes.core.access import policy
from pinakes.core.access.policy import ImageFacts, NamespaceFacts
from pinakes.core.actor import Actor, Kind, Visibility
from pinakes.core.catalogue import machine_records, records
from pinakes.core.catalogue.patterns import Subject, like_folded
from pinakes.core.db import schema
from pinakes.core.db.engine import Database, Transaction
from pinakes.core.namespaces import records as namespace_records
from pinakes.core.page import PageRequest
from tests.conftest import Backend

NOW = 1_000_000
_USERS = 4
_ROOTS = 3


@dataclass(frozen=True, slots=True)
class Account:
    """stem: how the name begins; the number of the account follows."""

    kinds: frozenset[Kind]
    is_staff: bool
    stem: str = "user"


@dataclass(frozen=True, slots=True)
class Root:
    """A root namespace; a child lies in it. owner and collaborators are numbers of users, from 1."""

    owner: int
    visibility: Visibility
    collaborators: frozenset[int]


@dataclass(frozen=True, slots=True)
class Pattern:
    subject: Subject
    text: str
    allows: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """An image. namespace: number of a root and whether it lies in its child.

    grants: user -> when it expires.   group_grants: the same of groups.   memberships: groups of its version.
    """

    kind: Kind
    author: int
    visibility: Visibility
    end_at: int | None
    namespace: tuple[int, bool] | None
    grants: dict[int, int | None]
    has_name: bool
    group_grants: dict[int, int | None]
    memberships: frozenset[int]
    patterns: list[Pattern]


@dataclass(frozen=True, slots=True)
class World:
    """groups: the numbers of their members."""

    accounts: list[Account]
    roots: list[Root]
    groups: list[frozenset[int]]
    pictures: list[Picture]


INSTANTS = st.none() | st.sampled_from([NOW - 1, NOW, NOW + 1])
NUMBERS = st.integers(1, _USERS)
KINDS = st.frozensets(st.sampled_from(Kind)) | st.just(frozenset({Kind.MACHINE}))
ACCOUNTS = st.builds(Account, KINDS, st.booleans(), st.sampled_from(["Ana", "bEn", "a_b", "STRASSE", "Ärzte"]))
GROUPS = st.integers(0, 1)
TEXTS = [
    "*",
    "*",
    "*",
    "ana*",
    "ANA1",
    "*2",
    "b*n*",
    "a_b*",
    "a%",
    "*\\",
    "straße*",
    "ä*",
    "*@Example.ORG",
    "ana1@example.org",
]
PATTERNS = st.builds(Pattern, st.sampled_from(Subject), st.sampled_from(TEXTS), st.booleans())
ROOTS = st.builds(Root, NUMBERS, st.sampled_from(Visibility), st.frozensets(NUMBERS, max_size=2))
PICTURES = st.builds(
    Picture,
    st.sampled_from([Kind.MACHINE, Kind.MACHINE, Kind.SLIDE, Kind.CLINICAL]),
    NUMBERS,
    st.sampled_from(Visibility),
    INSTANTS,
    st.none() | st.tuples(st.integers(0, _ROOTS - 1), st.booleans()),
    st.dictionaries(NUMBERS, INSTANTS, max_size=2),
    st.booleans(),
    st.dictionaries(GROUPS, INSTANTS, max_size=1),
    st.frozensets(GROUPS, max_size=1),
    st.lists(PATTERNS, max_size=3),
)
WORLDS = st.builds(
    World,
    st.lists(ACCOUNTS, min_size=_USERS, max_size=_USERS),
    st.lists(ROOTS, min_size=_ROOTS, max_size=_ROOTS),
    st.lists(st.frozensets(NUMBERS, max_size=2), min_size=2, max_size=2),
    st.lists(PICTURES, min_size=3, max_size=8),
)


@dataclass(frozen=True, slots=True)
class Kept:
    """A world in the database: the ids of its users, groups, roots, their children, and images, in order."""

    users: list[int]
    groups: list[int]
    roots: list[int]
    children: list[int]
    images: list[int]


_numbers = count(1)


def keep(database: Database, world: World) -> Kept:
    """Replace what is in the database."""
    with database.write() as transaction:
        _empty(transaction)
        blob = {"digest": "d", "key": "k", "size_bytes": 1, "refs": 1, "created_at": 0}
        transaction.execute(insert(schema.blobs).values(blob))
        names = [name_of(world, number) for number in range(1, _USERS + 1)]
        rows = [_user_row(account, name) for account, name in zip(world.accounts, names, strict=True)]
        users = [_add(transaction, schema.users, row) for row in rows]
        groups = [_keep_group(transaction, members, users) for members in world.groups]
        trees = [_keep_tree(transaction, root, f"root{number}", users) for number, root in enumerate(world.roots)]
        kept = Kept(users, groups, [root_id for root_id, _ in trees], [child_id for _, child_id in trees], [])
        for picture in world.pictures:
            kept.images.append(_keep_picture(transaction, world, picture, kept))
    return kept


def _empty(transaction: Transaction) -> None:
    for table in (schema.djinn_names, schema.grants, schema.versions, schema.images, schema.collaborators):
        transaction.execute(delete(table))
    for table in (schema.namespaces, schema.groups, schema.patterns, schema.users, schema.blobs):
        transaction.execute(delete(table))


def name_of(world: World, number: int) -> str:
    return f"{world.accounts[number - 1].stem}{number}"


def _keep_group(transaction: Transaction, members: frozenset[int], users: list[int]) -> int:
    name = f"group{next(_numbers)}"
    row = {"uid": name, "name": name, "name_folded": name, "owner_id": users[0], "created_at": 0}
    group_id = _add(transaction, schema.groups, row)
    for member in members:
        belonging = {"group_id": group_id, "user_id": users[member - 1], "created_at": 0}
        transaction.execute(insert(schema.group_members).values(belonging))
    return group_id


def _add(transaction: Transaction, table: Table, row: dict[str, Any]) -> int:
    made: int = transaction.execute(insert(table).values(row).returning(table.c.id)).scalar_one()
    return made


def _keep_tree(transaction: Transaction, root: Root, path: str, users: list[int]) -> tuple[int, int]:
    """The ids of the root and of the one namespace below it."""
    row = {
        "owner_id": users[root.owner - 1],
        "description": "",
        "visibility": root.visibility.value,
        "created_at": 0,
        "name": path,
        "path": path,
    }
    root_id = _add(transaction, schema.namespaces, row)
    row |= {"root_id": root_id}
    transaction.execute(update(schema.namespaces).where(schema.namespaces.c.id == root_id).values(root_id=root_id))
    low = row | {"parent_id": root_id, "name": "low", "path": f"{path}/low"}
    for member in root.collaborators - {root.owner}:
        share = {"root_id": root_id, "user_id": users[member - 1], "created_at": 0}
        transaction.execute(insert(schema.collaborators).values(share))
    return root_id, _add(transaction, schema.namespaces, low)


def _keep_picture(transaction: Transaction, world: World, picture: Picture, kept: Kept) -> int:
    author_id = kept.users[picture.author - 1]
    row = {
        "uid": f"i{next(_numbers)}",
        "kind": picture.kind.value,
        "name": "image",
        "author_id": author_id,
        "namespace_id": _place(picture, kept),
        "visibility": picture.visibility.value,
        "end_at": picture.end_at,
        "created_at": 0,
        "modified_at": 0,
    }
    image_id = _add(transaction, schema.images, row)
    version = {
        "uid": f"v{next(_numbers)}",
        "image_id": image_id,
        "name": "1.0",
        "digest": "d",
        "size_bytes": 1,
        "format": "unknown",
        "author_id": author_id,
        "created_at": 0,
    }
    version_id = _add(transaction, schema.versions, version)
    for user, expires_at in picture.grants.items():
        grant = {"image_id": image_id, "user_id": kept.users[user - 1], "expires_at": expires_at, "created_at": 0}
        transaction.execute(insert(schema.grants).values(grant))
    _share(transaction, picture, kept, image_id, version_id)
    if _is_named(picture):
        name = _name_row(world, picture, kept) | {"image_id": image_id, "version_id": version_id}
        transaction.execute(insert(schema.djinn_names).values(name))
    return image_id


def _share(transaction: Transaction, picture: Picture, kept: Kept, image_id: int, version_id: int) -> None:
    """With groups and through patterns."""
    for group, expires_at in picture.group_grants.items():
        grant = {"image_id": image_id, "group_id": kept.groups[group], "expires_at": expires_at, "created_at": 0}
        transaction.execute(insert(schema.group_grants).values(grant))
    for group in picture.memberships:
        membership = {"uid": f"m{next(_numbers)}", "version_id": version_id, "group_id": kept.groups[group]}
        transaction.execute(insert(schema.version_memberships).values(membership | {"created_at": 0}))
    for pattern in picture.patterns:
        row = {
            "uid": f"p{next(_numbers)}",
            "owner_id": kept.users[picture.author - 1],
            "subject": pattern.subject.value,
            "pattern": pattern.text,
            "like_folded": like_folded(pattern.text),
            "allows": pattern.allows,
            "created_at": 0,
        }
        pattern_id = _add(transaction, schema.patterns, row)
        transaction.execute(insert(schema.image_patterns).values({"image_id": image_id, "pattern_id": pattern_id}))


def _name_row(world: World, picture: Picture, kept: Kept) -> dict[str, Any]:
    root = _root_of(world, picture)
    return {
        "name": f"image{next(_numbers)}",
        "author_id": kept.users[picture.author - 1],
        "namespace_id": _place(picture, kept),
        "root_id": kept.roots[picture.namespace[0]] if picture.namespace else None,
        "holder_id": kept.users[(root.owner if root else picture.author) - 1],
        "is_claimed": True,
    }


def _user_row(account: Account, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "name_folded": name.casefold(),
        "email": email_of(name),
        "email_folded": email_of(name).casefold(),
        "kinds": ",".join(account.kinds),
        "is_staff": account.is_staff,
        "is_active": True,
        "created_at": 0,
    }


def email_of(name: str) -> str:
    return f"{name}@example.org"


def _is_named(picture: Picture) -> bool:
    return picture.kind is Kind.MACHINE and picture.has_name


def _place(picture: Picture, kept: Kept) -> int | None:
    """Only machine images lie in namespaces."""
    if picture.namespace is None or picture.kind is not Kind.MACHINE:
        return None
    number, is_low = picture.namespace
    return (kept.children if is_low else kept.roots)[number]


def _root_of(world: World, picture: Picture) -> Root | None:
    if picture.namespace is None or picture.kind is not Kind.MACHINE:
        return None
    return world.roots[picture.namespace[0]]


def facts_of(world: World, picture: Picture, user: int | None, kept: Kept) -> ImageFacts:
    """What the rule is told, from the world itself."""
    root = _root_of(world, picture)
    return ImageFacts(
        picture.kind,
        kept.users[picture.author - 1],
        root.visibility if root else picture.visibility,
        picture.end_at,
        kept.users[root.owner - 1] if root else None,
        root is not None and user in root.collaborators - {root.owner},
        user is not None and is_shared(world, picture, user),
    )


def is_shared(world: World, picture: Picture, user: int) -> bool:
    """In one of the ways there are; a slide by grants of users alone."""
    if _is_live(picture.grants, {user}):
        return True
    if picture.kind is not Kind.MACHINE:
        return False
    groups = {number for number, members in enumerate(world.groups) if user in members}
    if _is_live(picture.group_grants, groups) or picture.memberships & groups:
        return True
    root = _root_of(world, picture)
    if root and picture.author not in root.collaborators | {root.owner}:
        return False
    verdicts = {pattern.allows for pattern in picture.patterns if matches(pattern, name_of(world, user))}
    return verdicts == {True}


def _is_live(grants: dict[int, int | None], holders: set[int]) -> bool:
    return any(expires_at is None or expires_at > NOW for holder, expires_at in grants.items() if holder in holders)


def matches(pattern: Pattern, name: str) -> bool:
    subject = name if pattern.subject is Subject.NAME else email_of(name)
    literals = (re.escape(literal.casefold()) for literal in pattern.text.split("*"))
    return re.fullmatch(".*".join(literals), subject.casefold()) is not None


def actors(world: World, kept: Kept) -> Iterator[tuple[int | None, Actor]]:
    """Everybody who may ask, and nobody."""
    yield None, Actor("test")
    for number, (account, user_id) in enumerate(zip(world.accounts, kept.users, strict=True), 1):
        name = name_of(world, number)
        actor = Actor("test", user_id, name, email_of(name), kinds=account.kinds, is_staff=account.is_staff)
        yield number, actor
        yield number, actor.as_plain_user()


@pytest.fixture
def database(backend: Backend) -> Database:
    return backend.database


# The database is emptied for each example, so that one for all of them is right.
worlds = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(world=WORLDS)
def test_the_rule_for_one_image_and_the_rule_for_many_agree(database: Database, world: World) -> None:
    check_agreement(database, world)


@pytest.mark.parametrize("backend", ["postgres-s3"], indirect=True)
@worlds
@given(world=WORLDS)
def test_they_agree_in_postgres_too(database: Database, world: World) -> None:
    check_agreement(database, world)


def check_agreement(database: Database, world: World) -> None:
    """For everybody, `may_read` and `READABLE`, `may_oversee` and `OVERSEEN`, and the facts they judge by."""
    kept = keep(database, world)
    statement = select(schema.images.c.id).where(policy.READABLE)
    overseen = select(schema.images.c.id).where(policy.OVERSEEN)
    with database.read() as connection:
        for user, actor in actors(world, kept):
            facts = [facts_of(world, picture, user, kept) for picture in world.pictures]
            expected = {
                image_id
                for image_id, known in zip(kept.images, facts, strict=True)
                if policy.may_read(actor, known, NOW)
            }
            found = connection.execute(statement, policy.parameters(actor, NOW)).scalars().all()
            assert set(found) == expected
            assert len(found) == len(expected)
            watched = connection.execute(overseen, policy.parameters(actor, NOW)).scalars().all()
            assert set(watched) == {
                image_id
                for image_id, known in zip(kept.images, facts, strict=True)
                if policy.may_oversee(actor, known, NOW)
            }
            for image_id, known in zip(kept.images, facts, strict=True):
                image = records.find(connection, actor, image_id, NOW)
                assert image is not None
                assert image.facts == known
                machine = machine_records.find(connection, actor, image_id, NOW)
                assert (machine.facts if machine else None) == (known if known.kind is Kind.MACHINE else None)


@worlds
@given(world=WORLDS)
def test_lists_hold_what_the_rule_allows_and_nothing_ended(database: Database, world: World) -> None:
    kept = keep(database, world)
    with database.read() as connection:
        for user, actor in actors(world, kept):
            shared = [
                root_id
                for root_id, root in zip(kept.roots, world.roots, strict=True)
                if user in root.collaborators - {root.owner}
            ]
            assert namespace_records.shared_roots(connection, actor.user_id or 0) == shared
            expected = set()
            for image_id, picture in zip(kept.images, world.pictures, strict=True):
                known = facts_of(world, picture, user, kept)
                is_theirs = policy.is_among_people(actor, known) and not known.is_ended(NOW)
                if _is_named(picture) and (is_theirs or _is_own_and_public(actor, known)):
                    expected.add(image_id)
            found = machine_records.mine_and_shared(connection, actor, shared, NOW, PageRequest())
            assert {image.id for image in found} == expected
            assert all(policy.may_read(actor, image.facts, NOW) for image in found)


def _is_own_and_public(actor: Actor, known: ImageFacts) -> bool:
    """A user without the kind is no longer among the people of what is theirs, but public things anyone sees."""
    own = known.root_owner_id if known.root_owner_id is not None else known.author_id
    is_theirs = own == actor.user_id or known.is_collaborator
    return is_theirs and known.visibility is Visibility.PUBLIC and not known.is_ended(NOW)


@worlds
@given(world=WORLDS)
def test_a_namespace_is_open_to_whom_its_images_are(database: Database, world: World) -> None:
    kept = keep(database, world)
    with database.read() as connection:
        for user, actor in actors(world, kept):
            for number, root in enumerate(world.roots):
                known = NamespaceFacts(
                    kept.users[root.owner - 1], root.visibility, user in root.collaborators - {root.owner}
                )
                for namespace_id in (kept.roots[number], kept.children[number]):
                    found = namespace_records.find(connection, actor, namespace_id)
                    assert found is not None
                    assert found.facts == known
                inside = ImageFacts(
                    Kind.MACHINE, 0, known.visibility, None, known.owner_id, known.is_collaborator, False
                )
                assert policy.may_read_namespace(actor, known) is policy.may_read(actor, inside, NOW)
                assert policy.may_use_namespace(actor, known) is policy.may_change(actor, inside, NOW)


@given(
    facts=st.builds(
        ImageFacts,
        st.sampled_from(Kind),
        NUMBERS,
        st.sampled_from(Visibility),
        INSTANTS,
        st.none() | NUMBERS,
        st.booleans(),
        st.booleans(),
    ),
    account=ACCOUNTS,
    user=st.none() | NUMBERS,
)
def test_who_edits_may_change_and_who_changes_or_oversees_may_read(
    facts: ImageFacts, account: Account, user: int | None
) -> None:
    kinds = account.kinds if user else frozenset[Kind]()
    actor = Actor("test", user, kinds=kinds, is_staff=account.is_staff and user is not None)
    if policy.may_change(actor, facts, NOW):
        assert policy.may_read(actor, facts, NOW)
        assert actor.has_kind(facts.kind)
    assert policy.may_edit(actor, facts, NOW) <= policy.may_change(actor, facts, NOW)
    assert policy.may_oversee(actor, facts, NOW) <= policy.may_read(actor, facts, NOW)
    assert policy.may_see_identity(actor, facts, NOW) == policy.may_change(actor, facts, NOW)
    with_a_link = replace(actor, may_identify=False)
    assert not policy.may_see_identity(with_a_link, facts, NOW)
    assert policy.may_read(with_a_link, facts, NOW) == policy.may_read(actor, facts, NOW)


@given(
    facts=st.builds(NamespaceFacts, NUMBERS, st.sampled_from(Visibility), st.booleans()),
    account=ACCOUNTS,
    user=st.none() | NUMBERS,
)
def test_owning_a_namespace_is_using_it_is_reading_it(
    facts: NamespaceFacts, account: Account, user: int | None
) -> None:
    actor = Actor("test", user, kinds=account.kinds if user else frozenset(), is_staff=account.is_staff)
    own, use, read = (
        rule(actor, facts) for rule in (policy.may_own_namespace, policy.may_use_namespace, policy.may_read_namespace)
    )
    assert own <= use <= read


# -- The table at the head of the policy, case by case ------------------------------------------------------------


def facts(kind: Kind, **changes: Any) -> ImageFacts:
    row: dict[str, Any] = {
        "author_id": 1,
        "visibility": Visibility.PRIVATE,
        "end_at": None,
        "root_owner_id": None,
        "is_collaborator": False,
        "is_granted": False,
    }
    return ImageFacts(kind, **row | changes)


def user(user_id: int, *kinds: Kind, is_staff: bool = False) -> Actor:
    return Actor("test", user_id, kinds=frozenset(kinds), is_staff=is_staff)


@pytest.mark.parametrize(
    ("actor", "image", "reads", "changes"),
    [
        (user(2, Kind.CLINICAL), facts(Kind.CLINICAL), True, True),
        (user(1, Kind.MACHINE, Kind.SLIDE, is_staff=True), facts(Kind.CLINICAL), False, False),
        (user(1, Kind.SLIDE), facts(Kind.SLIDE), True, True),
        (user(2, Kind.SLIDE), facts(Kind.SLIDE), False, False),
        (user(2, Kind.SLIDE), facts(Kind.SLIDE, is_granted=True), True, False),
        (user(2, Kind.CLINICAL), facts(Kind.SLIDE, is_granted=True), False, False),
        (user(2, Kind.SLIDE, is_staff=True), facts(Kind.SLIDE), True, True),
        (user(1, Kind.MACHINE), facts(Kind.MACHINE), True, True),
        (user(2, Kind.MACHINE), facts(Kind.MACHINE), False, False),
        (user(2, Kind.MACHINE), facts(Kind.MACHINE, is_granted=True), True, False),
        (user(2, Kind.MACHINE), facts(Kind.MACHINE, visibility=Visibility.INTERNAL), True, False),
        (user(2, Kind.CLINICAL), facts(Kind.MACHINE, visibility=Visibility.INTERNAL), False, False),
        (Actor("test"), facts(Kind.MACHINE, visibility=Visibility.PUBLIC), True, False),
        (user(1, Kind.MACHINE), facts(Kind.MACHINE, root_owner_id=2), False, False),
        (user(2, Kind.MACHINE), facts(Kind.MACHINE, root_owner_id=2), True, True),
        (user(3, Kind.MACHINE), facts(Kind.MACHINE, root_owner_id=2, is_collaborator=True), True, True),
        (user(3, Kind.CLINICAL), facts(Kind.MACHINE, root_owner_id=2, is_collaborator=True), False, False),
        (user(1, Kind.MACHINE), facts(Kind.MACHINE, end_at=NOW), True, True),
        (user(2, Kind.MACHINE), facts(Kind.MACHINE, end_at=NOW, visibility=Visibility.PUBLIC), False, False),
        (user(2, Kind.MACHINE), facts(Kind.MACHINE, end_at=NOW + 1, visibility=Visibility.PUBLIC), True, False),
        (user(2, Kind.MACHINE), facts(Kind.MACHINE, end_at=NOW, root_owner_id=2), False, False),
        (user(2, Kind.MACHINE, is_staff=True), facts(Kind.MACHINE, end_at=NOW), True, True),
    ],
)
def test_the_rule_is_as_its_table_says(actor: Actor, image: ImageFacts, reads: bool, changes: bool) -> None:
    assert policy.may_read(actor, image, NOW) is reads
    assert policy.may_change(actor, image, NOW) is changes


@pytest.mark.parametrize("kind", [Kind.MACHINE, Kind.SLIDE, Kind.CLINICAL])
def test_staff_oversees_but_does_not_edit(kind: Kind) -> None:
    """Atmosphere contract E2, D10."""
    image = facts(kind)
    assert policy.may_edit(user(1, kind), image, NOW)
    assert not policy.may_edit(user(2, kind, is_staff=True), image, NOW)
    assert policy.may_oversee(user(2, kind, is_staff=True), image, NOW)
    assert not policy.may_oversee(user(2, kind), facts(kind, is_granted=True), NOW)


def test_an_author_who_left_the_namespace_neither_edits_nor_oversees() -> None:
    image = facts(Kind.MACHINE, root_owner_id=2, visibility=Visibility.PUBLIC)
    assert policy.may_read(user(1, Kind.MACHINE), image, NOW)
    assert not policy.may_edit(user(1, Kind.MACHINE), image, NOW)
    assert not policy.may_oversee(user(1, Kind.MACHINE), image, NOW)


def test_every_question_of_the_rule_is_answered_by_an_index(sqlite_url: str) -> None:
    """Who may read costs the same however many grants, groups, memberships and patterns there are."""
    database = Database(sqlite_url)
    statement = select(schema.images.c.id).where(policy.READABLE, schema.images.c.id == 1)
    compiled = statement.compile(database.engine, compile_kwargs={"render_postcompile": True})
    given = compiled.params | policy.parameters(user(1, Kind.MACHINE), NOW)
    bound = [given[name] for name in compiled.positiontup or ()]
    with database.read() as connection:
        driver = connection.connection.driver_connection
        plan = [row[3] for row in driver.execute(f"EXPLAIN QUERY PLAN {compiled}", bound)]
    database.close()
    assert any("policy_pattern" in step for step in plan)
    assert any("policy_membership" in step for step in plan)
    assert not [step for step in plan if step.startswith("SCAN")], plan
