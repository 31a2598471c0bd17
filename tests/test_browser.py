"""A person in a browser: from the registration to an API key, by the examples of docs/accounts.md."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from typing import Any

import httpx
import pyotp
import pytest
from cryptography.fernet import Fernet
from playwright.sync_api import Page, sync_playwright

from tests.processes import REPOSITORY, ServiceProcess, command, running_service

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
DOCS = REPOSITORY / "docs"
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
SECONDS = 60_000.0  # in milliseconds, because the machine may be busy
LINK = re.compile(r"http://\S+#\S+")
DEVICE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def examples(name: str, language: str) -> list[str]:
    """Return the code blocks of a page of the documentation in one language."""
    return [text for found, text in BLOCK.findall((DOCS / name).read_text("utf-8")) if found == language]


def document(operation: str) -> str:
    """Return the example of docs/accounts.md with this operation."""
    return next(text for text in examples("accounts.md", "graphql") if f" {operation}" in text)


@pytest.fixture
def environment(database_url: str) -> dict[str, str]:
    """Return the settings of the service."""
    return {"database_url": database_url, "encryption_keys": Fernet.generate_key().decode()}


@pytest.fixture
def service(environment: dict[str, str]) -> Iterator[ServiceProcess]:
    """Return a running service."""
    with running_service(**environment) as found:
        yield found


@pytest.fixture
def page(service: ServiceProcess) -> Iterator[Page]:
    """Return GraphiQL in a browser that has an authenticator of its own; a message in its console fails the test."""
    # Passkeys need a host name; the root user of a container has no sandbox
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        try:
            page = browser.new_context(permissions=["clipboard-read", "clipboard-write"]).new_page()
            page.set_default_timeout(SECONDS)
            errors: list[str] = []
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.goto(f"{service.url.replace('127.0.0.1', 'localhost')}/graphql")
            devices = page.context.new_cdp_session(page)
            devices.send("WebAuthn.enable")
            devices.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE})
            yield page
            assert errors == []
        finally:
            browser.close()


def run_in_graphiql(page: Page, text: str) -> str:
    """Enter a document in a new tab of GraphiQL, run it, and return the response that is shown."""
    page.locator(".graphiql-tab-add").click()
    page.locator(".graphiql-query-editor .monaco-editor").first.click()
    page.keyboard.press("ControlOrMeta+A")
    page.evaluate("text => navigator.clipboard.writeText(text)", text)
    page.keyboard.press("ControlOrMeta+V")  # as a person does, since the editor closes brackets that are typed
    with page.expect_response(lambda response: response.request.method == "POST"):
        page.locator(".graphiql-execute-button").click()
    shown = page.locator(".graphiql-response .view-lines")
    shown.get_by_text("errors").first.wait_for()
    return shown.inner_text().replace("\xa0", " ")


def fetched(page: Page, query: str, **variables: Any) -> Any:
    """Return the payload of an operation that a script of the page runs, with the cookie of the session."""
    script = f"async ([query, variables]) => {{ {functions()} return await roster(query, variables) }}"
    return page.evaluate(script, [query, variables])


def functions() -> str:
    """Return the functions that docs/second-factors.md has for pages."""
    return next(text for text in examples("second-factors.md", "js") if "addPasskey" in text)


def mailed_link(environment: dict[str, str]) -> str:
    """Return the link of the mail that is kept, as the command shows it."""
    settings = {f"ROSTER_{name.upper()}": value for name, value in environment.items()}
    [mail] = [line.split()[0] for line in command("mail", environment=settings).stdout.splitlines()[:-1]]
    found = LINK.search(command("mail", "--show", mail, environment=settings).stdout)
    assert found is not None
    return found[0]


def test_a_person_registers_and_secures_the_account_by_the_examples(
    page: Page, environment: dict[str, str], service: ServiceProcess
) -> None:
    # Register, and confirm by the mail's link
    assert '"errors": []' in run_in_graphiql(page, document("Register"))
    link = mailed_link(environment)
    reader = page.context.new_page()
    reader.goto(link.replace("127.0.0.1", "localhost"))
    reader.get_by_role("button").click()
    reader.get_by_text("is confirmed").wait_for()
    reader.close()
    shown = run_in_graphiql(page, document("SignIn"))
    assert '"username": "nina"' in shown
    assert '"emailVerified": true' in shown

    # An authenticator app, which gets its secret by a QR code of the URL
    enabled = fetched(page, document("EnableTwoFactor"))
    app = pyotp.parse_uri(enabled["otpauthUrl"])
    assert isinstance(app, pyotp.TOTP)
    confirmed = fetched(page, document("ConfirmTwoFactor"), code=app.now())
    assert len(confirmed["recoveryCodes"]) == 10

    # A passkey, and a sign-in with it
    added = page.evaluate(f"async () => {{ {functions()} return await addPasskey('laptop') }}")
    assert added["passkey"]["name"] == "laptop"
    page.context.clear_cookies()
    signed_in = page.evaluate(f"async () => {{ {functions()} return await signInWithPasskey() }}")
    assert signed_in["user"]["id"]

    # An API key, and its use by a program
    created = fetched(page, document("CreateKey"))
    answer = httpx.post(
        f"{service.url}/graphql",
        json={"query": "{ me { username email } }"},
        headers={"authorization": f"Bearer {created['secret']}"},
    ).json()
    assert answer == {"data": {"me": {"username": "nina", "email": "nina@example.org"}}}
