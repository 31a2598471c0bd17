"""What the audit log shows to whom."""

from __future__ import annotations

from tests.conftest import Door, Person


async def test_who_may_not_read_a_billing_address_does_not_read_its_changes(
    door: Door, root: Person, staff: Person, alice: Person
) -> None:
    await door.change(
        "updateUser", {"id": alice.id, "firstName": "A", "billingAddress": {"city": "Graz"}}, "user { id }", by=root
    )
    latest = '{ auditEvents(first: 1, filter: {event: "user.update"}) { nodes { changes } } }'
    by_root = (await door.data(latest, by=root))["auditEvents"]["nodes"][0]["changes"]
    assert sorted(by_root) == ["billingAddress", "firstName"]
    by_staff = (await door.data(latest, by=staff))["auditEvents"]["nodes"][0]["changes"]
    assert sorted(by_staff) == ["firstName"]
