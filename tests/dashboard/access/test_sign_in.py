"""Sign-in against a real OpenID Connect provider: the code flow over HTTP, and what each role meets in Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from data.cases.audit import AuditEntry
from data.cases.case import Actor
from data.cases.log import open_case_log
from data.cases.storage import open_image_store
from tests.support.browser.chromium import launched_chromium, opened_page, wait_for_rest
from tests.support.servers.oidc_provider import (
    CASE_KEY,
    ORGANISATION_CLAIM,
    ROLE_CLAIM,
    USER_COOKIE,
    Dashboard,
    Provider,
    running_dashboard,
    running_provider,
    sign_in,
)

# So that a test can cut the connection, as a network does.
KEEP_SOCKETS = """
window.sockets = [];
const Socket = WebSocket;
window.WebSocket = class extends Socket { constructor(...given) { super(...given); sockets.push(this); } };
"""


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with running_provider(tmp_path_factory.mktemp("provider")) as running:
        for role in ("clinician", "researcher", "admin"):
            claims = {ROLE_CLAIM: role, ORGANISATION_CLAIM: "Clinic"}
            running.add_user(role, email=f"{role}@clinic.org", email_verified=True, **claims)
        running.add_user("stranger", email="stranger@elsewhere.org", email_verified=True)
        yield running


@pytest.fixture(scope="module")
def dashboard(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with running_dashboard(tmp_path_factory.mktemp("dashboard"), provider) as running:
        yield running


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client() as opened:
        yield opened


def has_signed_in(answer: httpx.Response) -> bool:
    """Whether the answer to the code gives a cookie that names a user."""
    assert answer.status_code == 302
    return bool(answer.cookies.get(USER_COOKIE))


# --- Over HTTP -------------------------------------------------------------------------------------------------------


def test_code_flow_ends_with_a_cookie_that_scripts_and_other_sites_cannot_use(
    client: httpx.Client, dashboard: Dashboard
) -> None:
    answer = sign_in(client, dashboard.url, "clinician")
    assert has_signed_in(answer)
    assert answer.headers["location"] == "/"
    cookies = [cookie for cookie in answer.headers.get_list("set-cookie") if cookie.startswith(f"{USER_COOKIE}=")]
    assert len(cookies) == 1
    assert {"HttpOnly", "SameSite=lax"} <= {part.strip() for part in cookies[0].split(";")}


def test_cookies_are_for_https_only_behind_a_proxy_that_speaks_it(dashboard: Dashboard) -> None:
    with httpx.Client(headers={"X-Forwarded-Proto": "https"}) as client:
        given = client.get(f"{dashboard.url}/_stcore/health").headers.get_list("set-cookie")
    assert given and all(cookie.endswith("; Secure") for cookie in given)


@pytest.mark.parametrize("changed", [{"nonce": "another"}, {"state": "another"}])
def test_altered_nonce_or_state_signs_nobody_in(
    client: httpx.Client, dashboard: Dashboard, changed: dict[str, str]
) -> None:
    assert not has_signed_in(sign_in(client, dashboard.url, "clinician", **changed))
    assert USER_COOKIE not in client.cookies


def test_a_code_counts_once_and_only_in_the_browser_that_asked(client: httpx.Client, dashboard: Dashboard) -> None:
    answer = sign_in(client, dashboard.url, "clinician")
    assert has_signed_in(answer)
    assert not has_signed_in(client.get(str(answer.request.url)))
    with httpx.Client() as thief:
        assert not has_signed_in(thief.get(str(answer.request.url)))


def test_token_that_has_expired_signs_nobody_in(client: httpx.Client, tmp_path: Path) -> None:
    with running_provider(tmp_path, token_seconds=-600) as late, running_dashboard(tmp_path, late) as dashboard:
        late.add_user("clinician", email="clinician@clinic.org")
        assert not has_signed_in(sign_in(client, dashboard.url, "clinician"))
        assert "clinician@clinic.org" not in dashboard.log.read_text()


# --- In a browser ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched_chromium() as launched:
        yield launched


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with opened_page(browser) as opened:
        yield opened


def enter(page: Page, dashboard: Dashboard, subject: str) -> None:
    """Sign in by the button and the provider's form."""
    page.goto(dashboard.url)
    page.get_by_role("link", name="Sign in").click()
    page.locator("input[name=sub]").fill(subject)
    page.get_by_role("button", name="Authorize", exact=True).click()


def heading(page: Page, text: str) -> None:
    """The page of this title is shown."""
    expect(page.get_by_role("heading", level=1, name=text)).to_be_visible()


def links(page: Page) -> set[str]:
    """Titles in the navigation bar."""
    wait_for_rest(page)
    return {link.inner_text().split("\n")[-1] for link in page.locator("[data-testid=stTopNavLink]").all()}


def audit_of(dashboard: Dashboard) -> list[AuditEntry]:
    log = open_case_log(dashboard.database_url, open_image_store(str(dashboard.folder / "images")), CASE_KEY.encode())
    try:
        return log.audit_entries(Actor("test", "Clinic", "admin"), 100)
    finally:
        log.close()


@pytest.mark.browser
def test_clinician_signs_in_sees_review_and_signs_out(page: Page, dashboard: Dashboard) -> None:
    enter(page, dashboard, "clinician")
    heading(page, "Review")
    assert links(page) == {"Review", "Cases", "Local performance", "Dataset", "Evaluation", "About"}
    expect(page.get_by_text("clinician@clinic.org · Clinician · Clinic")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="End session").click()  # of the provider, which sends the browser back
    heading(page, "Sign in to LesionLens")
    assert USER_COOKIE not in {cookie["name"] for cookie in page.context.cookies()}
    actions = [entry.action for entry in audit_of(dashboard) if entry.actor == "clinician@clinic.org"]
    assert actions[0] == "sign-out" and "sign-in" in actions


@pytest.mark.browser
def test_researcher_meets_no_cases_also_by_address(page: Page, dashboard: Dashboard) -> None:
    enter(page, dashboard, "researcher")
    heading(page, "Dataset")
    assert links(page) == {"Dataset", "Evaluation", "Local performance", "About"}
    for address, title in (("review", "Review"), ("cases", "Cases"), ("audit", "Audit")):
        page.goto(f"{dashboard.url}/{address}")
        heading(page, title)
        expect(page.get_by_text("is not open to the role researcher")).to_be_visible()
        assert page.locator("[data-testid=stFileUploader], [data-testid=stDataFrame]").count() == 0


@pytest.mark.browser
def test_user_without_a_role_is_told_whom_to_ask(page: Page, dashboard: Dashboard) -> None:
    enter(page, dashboard, "stranger")
    heading(page, "No role was given to you")
    expect(page.get_by_text("You are signed in as stranger@elsewhere.org")).to_be_visible()
    assert page.locator("[data-testid=stApp]").count() == 0
    page.get_by_role("link", name="Sign out").click()
    page.get_by_role("button", name="End session").click()
    heading(page, "Sign in to LesionLens")


@pytest.mark.browser
def test_nobody_sees_a_page_without_signing_in(page: Page, dashboard: Dashboard) -> None:
    for address in ("", "cases", "dataset", "audit"):
        page.goto(f"{dashboard.url}/{address}")
        heading(page, "Sign in to LesionLens")
        assert page.locator("[data-testid=stApp], script").count() == 0


@pytest.mark.browser
def test_a_tab_that_connects_again_after_its_sign_in_ended_gets_to_the_sign_in_page(
    page: Page, dashboard: Dashboard
) -> None:
    page.add_init_script(KEEP_SOCKETS)
    enter(page, dashboard, "researcher")
    heading(page, "Dataset")
    copied = {cookie["name"]: cookie["value"] for cookie in page.context.cookies(dashboard.url)}
    httpx.get(f"{dashboard.url}/auth/logout", cookies=copied)
    page.evaluate("sockets.at(-1).close()")
    heading(page, "Sign in to LesionLens")
    expect(page.get_by_text("Your sign-in has ended")).to_be_visible()


@pytest.mark.browser
def test_admin_sees_the_audit_trail(page: Page, dashboard: Dashboard) -> None:
    enter(page, dashboard, "admin")
    page.get_by_role("link", name="Audit").click()
    heading(page, "Audit")
    page.get_by_role("button", name="Check the trail").click()
    expect(page.get_by_text("The trail is whole")).to_be_visible()


@pytest.mark.browser
def test_sign_in_that_expires_ends_the_session(page: Page, tmp_path: Path) -> None:
    # The provider's clock may be two minutes off, so a token just expired still signs in; what it holds for is ours.
    with running_provider(tmp_path, token_seconds=-1) as brief, running_dashboard(tmp_path, brief) as dashboard:
        brief.add_user("clinician", email="clinician@clinic.org", **{ROLE_CLAIM: "admin", ORGANISATION_CLAIM: "Clinic"})
        enter(page, dashboard, "clinician")
        expect(page.get_by_text("Your sign-in has ended")).to_be_visible()
        assert page.locator("[data-testid=stTopNavLink]").count() == 0
