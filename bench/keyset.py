"""The time of page 1,801 of a list, compared with its first page; a page has 50 users.

Usage: ROSTER_DATABASE_URL=... python -m bench.keyset   (after `python -m service seed --users 100000`)
Both pages are requested in turn, through HTTP, so that the ratio stays correct when the machine's speed changes.
"""

from __future__ import annotations

import os
import statistics
import time

import httpx

from bench.sign_in import token_of
from tests.processes import running_service

PAGE = """query ($after: String, $order: UserOrder) {
  users(first: 50, after: $after, orderBy: $order) { nodes { id username email } pageInfo { endCursor } }
}"""
POSITION = 90_000
ROUNDS = 200
ORDERS = ("CREATED_AT_DESC", "USERNAME_ASC", "EMAIL_ASC", "LAST_LOGIN_AT_DESC")


def main() -> None:
    """Print the times and their ratio for each order."""
    url = os.environ["ROSTER_DATABASE_URL"]
    token = token_of(url)
    with (
        running_service(database_url=url) as service,
        httpx.Client(headers={"authorization": f"Bearer {token}"}) as client,
    ):

        def read_page(order: str, after: str | None, first: int = 50) -> tuple[float, str]:
            document = PAGE.replace("first: 50", f"first: {first}")
            started = time.perf_counter()
            answer = client.post(
                f"{service.url}/graphql", json={"query": document, "variables": {"after": after, "order": order}}
            ).json()
            return time.perf_counter() - started, answer["data"]["users"]["pageInfo"]["endCursor"]

        for order in ORDERS:
            cursor: str | None = None
            for _ in range(POSITION // 100):
                _, cursor = read_page(order, cursor, 100)
            pairs = [(read_page(order, None)[0], read_page(order, cursor)[0]) for _ in range(ROUNDS)]
            first, deep = (statistics.median(times) * 1000 for times in zip(*pairs, strict=True))
            ratio = statistics.median(deep_time / first_time for first_time, deep_time in pairs)
            print(f"{order:<20} first page {first:.2f} ms, at {POSITION:,} {deep:.2f} ms, median ratio {ratio:.2f}")  # noqa: T201


if __name__ == "__main__":
    main()
