"""What became of mutations that run in parallel."""

from __future__ import annotations

from typing import Any

from tests.conftest import SHARED_INPUTS, Client, Person

TRIES = 20


async def outcome(client: Client, field: str, value: dict[str, Any], by: Person) -> str:
    """Return the first code of the answer to a mutation, or done.

    On a slow machine the service rejects requests that wait for the same row as many others. Such a request changed
    nothing, and is repeated, as its message says.
    """
    name = f"{field[0].upper()}{field[1:]}Input"
    call = f"{field}(input: $input) {{ errors {{ code }} }}"
    document = f"mutation ($input: {SHARED_INPUTS.get(name, name)}!) {{ {call} }}"
    for _ in range(TRIES):
        answer = await client.execute(document, {"input": value}, by=by)
        if [error["extensions"]["code"] for error in answer.get("errors", [])] != ["UNAVAILABLE"]:
            break
    assert "errors" not in answer, answer
    errors = answer["data"][field]["errors"]
    return str(errors[0]["code"]) if errors else "done"
