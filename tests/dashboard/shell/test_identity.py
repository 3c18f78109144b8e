"""Who acts: the claims of an id token, the allow-list, roles and pages, and the audit trail's sign-ins."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.access.sign_in import PAGES
from dashboard.resources import stores
from dashboard.settings import Settings
from dashboard.shell.identity import (
    ROLE_PAGES,
    NotSignedIn,
    RoleMissing,
    SignInExpired,
    actor,
    actor_of,
    may,
    seconds_left,
)
from data.cases.audit import AuditEntry
from data.cases.case import LOCAL_ACTOR, ROLES, Actor
from data.cases.database import CaseLogUnavailable
from data.cases.log import CaseLog
from tests.support.case_log import case_log_of
from tests.support.dashboard import ROOT, SIGN_IN_SECRETS, write_artifact

NOW = 1_800_000_000.0
ANNA = Actor("anna@clinic.org", "Clinic", "clinician")
SETTINGS = Settings(
    auth="oidc", auth_role_claim="role", auth_organisation_claim="organisation", auth_users=(ANNA,), case_key=b"k" * 32
)
TIMEOUT = 60  # seconds; other work may share the processors


def claims(**changed: Any) -> dict[str, Any]:
    """Of somebody whom a claim calls a researcher of the North Clinic, for another hour."""
    given = {"is_logged_in": True, "sub": "17", "email": "ben@clinic.org", "exp": int(NOW) + 3600}
    return given | {"role": "researcher", "organisation": "North Clinic"} | changed


def test_role_and_organisation_come_from_the_claims() -> None:
    assert actor_of(claims(), SETTINGS, NOW) == Actor("ben@clinic.org", "North Clinic", "researcher")


@pytest.mark.parametrize("email", ["anna@clinic.org", "Anna@Clinic.org"])
def test_the_allow_list_comes_before_the_claims(email: str) -> None:
    assert actor_of(claims(email=email, role="admin"), SETTINGS, NOW) == ANNA


@pytest.mark.parametrize("is_verified", [False, "false", 0, 1, "no", None, [], "True "])
def test_an_address_that_was_not_verified_is_nobody_s(is_verified: object) -> None:
    found = actor_of(claims(email="anna@clinic.org", email_verified=is_verified), SETTINGS, NOW)
    assert found == Actor("17", "North Clinic", "researcher")


@pytest.mark.parametrize("is_verified", [True, "true"])
def test_an_address_that_was_verified_counts(is_verified: object) -> None:
    assert actor_of(claims(email="anna@clinic.org", email_verified=is_verified), SETTINGS, NOW) == ANNA


def test_a_subject_that_is_spelled_like_a_listed_address_is_not_that_user() -> None:
    given = claims(sub="anna@clinic.org", email=None, role=None)
    with pytest.raises(RoleMissing):
        actor_of(given, SETTINGS, NOW)


def test_without_an_address_the_subject_names_the_user() -> None:
    assert actor_of(claims(email=None), SETTINGS, NOW).name == "17"


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        (["researcher", "clinician"], "clinician"),
        (["staff", "admin", "clinician"], "admin"),
        ("researcher", "researcher"),
    ],
)
def test_of_several_roles_the_one_that_may_do_most_counts(role: object, expected: str) -> None:
    assert actor_of(claims(role=role), SETTINGS, NOW).role == expected


@pytest.mark.parametrize(
    "changed",
    [
        {"role": None},
        {"role": "surgeon"},
        {"role": "not an admin"},
        {"role": []},
        {"role": 7},
        {"role": {"admin": False}},
        {"organisation": None},
        {"organisation": ""},
        {"organisation": ["Clinic", "Hospital"]},
        {"organisation": {"clinic": {}, "hospital": {}}},
        {"organisation": [{"name": "Clinic"}]},
        {"organisation": []},
        {"email": None, "sub": None},
    ],
)
def test_without_role_organisation_or_name_nobody_gets_in(changed: dict[str, Any]) -> None:
    with pytest.raises(RoleMissing, match="ask the administrator"):
        actor_of(claims(**changed), SETTINGS, NOW)


def claims_as(settings: dict[str, Any], **given: Any) -> Actor:
    """Who it is by other settings; the claims beside these are those of Ben."""
    names = {"auth_role_claim": "role", "auth_organisation_claim": "organisation"}
    return actor_of(claims(**given), Settings(auth="oidc", case_key=b"k" * 32, **names | settings), NOW)


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("realm_access.roles", {"realm_access": {"roles": ["offline_access", "clinician"]}}),
        ("resource_access.lesion.lens.roles", {"resource_access": {"lesion.lens": {"roles": ["clinician"]}}}),
        ("https://clinic.org/role", {"https://clinic.org/role": "clinician"}),
        ("https://clinic.org/app.role", {"https://clinic.org/app": {"role": "clinician"}}),
        ("a.b", {"a.b": "clinician", "a": {"b": "admin"}}),
    ],
)
def test_a_claim_may_lie_inside_others_and_its_name_hold_dots(path: str, given: dict[str, Any]) -> None:
    assert claims_as({"auth_role_claim": path}, **given).role == "clinician"


@pytest.mark.parametrize("given", [{"realm_access": "admin"}, {"realm_access": {"roles": {"admin": True}}}, {}])
def test_where_a_path_leads_nowhere_there_is_no_role(given: dict[str, Any]) -> None:
    with pytest.raises(RoleMissing):
        claims_as({"auth_role_claim": "realm_access.roles"}, role="admin", **given)


def test_roles_go_by_the_names_of_the_provider_and_then_by_no_others() -> None:
    names = {"/lesionlens/doctors": "clinician", "5c2a1f00-0000-4000-8000-000000000001": "admin"}
    renamed = {"auth_role_claim": "groups", "auth_role_names": names}
    assert claims_as(renamed, groups=["/other/admin", "/lesionlens/doctors"]).role == "clinician"
    assert claims_as(renamed, groups=["5c2a1f00-0000-4000-8000-000000000001", "/lesionlens/doctors"]).role == "admin"
    for groups in (["admin"], ["doctors"], ["/lesionlens/doctors/interns"], ["/Lesionlens/Doctors"], []):
        with pytest.raises(RoleMissing):
            claims_as(renamed, groups=groups)


@pytest.mark.parametrize("organisation", ["north", ["north"], {"north": {"id": "42", "city": ["Kiel"]}}])
def test_an_organisation_is_a_text_or_a_list_or_map_of_one(organisation: object) -> None:
    assert claims_as({"auth_organisation_claim": "organization"}, organization=organisation).organisation == "north"


def test_another_claim_may_name_the_user() -> None:
    named = {"auth_identity_claim": "preferred_username", "auth_users": (ANNA,)}
    assert claims_as(named, preferred_username="Anna@Clinic.org", email=None) == ANNA
    assert claims_as(named, preferred_username="Ben@Tenant.example").name == "ben@tenant.example"
    assert claims_as(named, preferred_username=None, email="anna@clinic.org").name == "17"


def test_a_user_is_listed_by_subject_where_no_address_names_them() -> None:
    listed = Actor("sub:AbC_17", "Clinic", "admin")
    assert claims_as({"auth_users": (listed,)}, sub="AbC_17", email=None) == Actor("AbC_17", "Clinic", "admin")
    assert claims_as({"auth_users": (listed,)}, sub="AbC_17") == Actor("ben@clinic.org", "Clinic", "admin")
    for other in ({"sub": "abc_17"}, {"sub": "sub:AbC_17"}, {"email": "sub:AbC_17"}, {"sub": 17}):
        assert claims_as({"auth_users": (listed,)}, **other).role == "researcher"


def test_without_claim_settings_claims_count_for_nothing() -> None:
    listed_only = Settings(auth="oidc", auth_users=(ANNA,), case_key=b"k" * 32)
    assert actor_of(claims(email=ANNA.name), listed_only, NOW) == ANNA
    with pytest.raises(RoleMissing):
        actor_of(claims() | {"": "admin"}, listed_only, NOW)


@pytest.mark.parametrize("signed_in", [{}, {"is_logged_in": False}, {"is_logged_in": False, "email": ANNA.name}])
def test_who_is_not_signed_in_is_nobody(signed_in: dict[str, Any]) -> None:
    with pytest.raises(NotSignedIn, match="sign in"):
        actor_of(signed_in, SETTINGS, NOW)


@pytest.mark.parametrize("exp", [NOW, NOW - 1, 0, None, "soon"])
def test_a_sign_in_ends_when_its_token_does(exp: object) -> None:
    with pytest.raises(SignInExpired, match="sign in again"):
        actor_of(claims(exp=exp), SETTINGS, NOW)


def test_seconds_left() -> None:
    assert seconds_left({"exp": NOW + 90}, NOW) == 90
    assert seconds_left({}, NOW) <= 0


def test_pages_by_role() -> None:
    assert set(ROLE_PAGES) == set(ROLES)
    assert all(set(pages) <= set(PAGES) for pages in ROLE_PAGES.values())
    assert set(ROLE_PAGES["admin"]) == set(PAGES)
    researcher = Actor("r", "Clinic", "researcher")
    assert not any(may(researcher, page) for page in ("review", "cases", "audit"))
    assert may(ANNA, "review") and not may(ANNA, "audit")


# --- In the dashboard ------------------------------------------------------------------------------------------------


@pytest.fixture
def with_sign_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    names = {"AUTH_ROLE_CLAIM": "role", "AUTH_ORGANISATION_CLAIM": "organisation"}
    with case_log_of(tmp_path, monkeypatch, AUTH="oidc", MODEL_DIR=write_artifact(tmp_path / "model"), **names):
        yield


def dashboard_of(**user: Any) -> AppTest:
    """The dashboard as a user's claims make it, after the first run."""
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=TIMEOUT)
    app.secrets = {"auth": SIGN_IN_SECRETS}
    app.user = user
    return app.run()


def signed_in(role: str, **changed: Any) -> AppTest:
    """The dashboard of somebody with this role."""
    return dashboard_of(**claims(exp=time.time() + 3600, role=role) | changed)


def audited() -> list[AuditEntry]:
    return stores.case_log().audit_entries(Actor("test", "North Clinic", "admin"), 100)


def buttons(app: AppTest) -> list[str]:
    return [button.label for button in app.button]


@pytest.mark.parametrize(("role", "first"), [("clinician", "Review"), ("researcher", "Dataset"), ("admin", "Review")])
@pytest.mark.usefixtures("with_sign_in")
def test_each_role_starts_on_its_page_and_can_leave(role: str, first: str) -> None:
    app = signed_in(role)
    assert app.title[0].value.startswith(first)
    assert "Sign out" in buttons(app)
    assert not app.exception and not app.error
    bars = "\n".join(str(element.proto.body) for element in app.get("html"))
    assert "ben@clinic.org" in bars and "North Clinic" in bars


@pytest.mark.usefixtures("with_sign_in")
def test_a_name_is_shown_as_text() -> None:
    app = signed_in("researcher", email='<img src=x onerror="alert(1)">@x.org')
    bars = "\n".join(str(element.proto.body) for element in app.get("html"))
    assert "&lt;img src=x" in bars and "<img src=x" not in bars


@pytest.mark.usefixtures("with_sign_in")
def test_sign_in_is_recorded_once_a_session_and_so_is_sign_out() -> None:
    app = signed_in("researcher").run().run()
    assert [(entry.action, entry.actor) for entry in audited()] == [("sign-in", "ben@clinic.org")]
    app.button(key="sign_out").click().run()
    assert [entry.action for entry in audited()] == ["sign-out", "sign-in"]
    assert app.title[0].value == "Sign in to LesionLens"


@pytest.mark.usefixtures("with_sign_in")
def test_without_the_case_log_people_can_sign_in_and_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise CaseLogUnavailable("expected a database, received none; start it")

    monkeypatch.setattr(CaseLog, "record_sign_in", away)
    monkeypatch.setattr(CaseLog, "record_sign_out", away)
    app = signed_in("researcher")
    assert app.title[0].value == "Dataset" and not app.exception
    app.button(key="sign_out").click().run()
    assert app.title[0].value == "Sign in to LesionLens" and not app.exception


@pytest.mark.usefixtures("with_sign_in")
def test_nobody_gets_the_sign_in_page_and_nothing_else() -> None:
    app = dashboard_of(is_logged_in=False)
    assert [title.value for title in app.title] == ["Sign in to LesionLens"]
    assert buttons(app) == ["Sign in"]


@pytest.mark.usefixtures("with_sign_in")
def test_an_expired_sign_in_ends_the_session() -> None:
    app = signed_in("researcher")
    app.session_state["patient"] = "made up"
    app.user = claims(exp=time.time() - 1)
    app.run()
    assert [title.value for title in app.title] == ["Sign in to LesionLens"]
    assert "Your sign-in has ended" in app.info[0].value
    assert "patient" not in app.session_state


@pytest.mark.usefixtures("with_sign_in")
def test_a_sign_in_that_ends_soon_is_told() -> None:
    bars = "\n".join(str(element.proto.body) for element in signed_in("researcher", exp=time.time() + 200).get("html"))
    assert "ends in 3 min" in bars


@pytest.mark.usefixtures("with_sign_in")
def test_a_user_without_role_is_told_and_can_leave() -> None:
    app = signed_in("surgeon")
    assert [title.value for title in app.title] == ["No role was given to you"]
    assert "ben@clinic.org" in app.text[0].value
    assert app.code[0].value == "ben@clinic.org=clinician@Organisation"
    assert buttons(app) == ["Sign out"]


def test_a_laptop_has_no_sign_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with case_log_of(tmp_path, monkeypatch, MODEL_DIR=write_artifact(tmp_path / "model")):
        assert actor() == LOCAL_ACTOR
        app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=TIMEOUT).run()
        assert app.title[0].value.startswith("Review") and "Sign out" not in buttons(app)
        assert stores.case_log().audit_entries(LOCAL_ACTOR, 10) == []


def test_a_wrong_setting_is_told_once_instead_of_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with case_log_of(tmp_path, monkeypatch, READ_FIRST="maybe"):
        app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=TIMEOUT).run()
    assert [error.value for error in app.error] == [
        "**A setting cannot be used.** READ_FIRST: expected 0 or 1, received 'maybe'; correct it or unset it."
    ]
    assert not app.title
