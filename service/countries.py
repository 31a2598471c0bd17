"""The countries of addresses, by an operator's MaxMind DB file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import maxminddb

from service.errors import ApiError
from service.parsing import parse_country_code


class Countries:
    """Finds the country of an address; without a file it finds none. ValueError for a file that cannot be read."""

    def __init__(self, file: Path | None) -> None:
        try:
            self._reader = None if file is None else maxminddb.open_database(file)
        except (OSError, maxminddb.InvalidDatabaseError) as error:
            reason = error.strerror if isinstance(error, OSError) else None
            raise ValueError(f"is not a readable MaxMind DB file: {reason or 'it has another format'}") from None

    def of_address(self, address: str | None) -> str | None:
        """Return the ISO 3166-1 alpha-2 code of an address, or None."""
        if self._reader is None or address is None:
            return None
        try:
            found: Any = self._reader.get(address)
        except ValueError:  # an IPv6 address in a file for IPv4
            return None
        country = found.get("country") if isinstance(found, dict) else None
        return country_code(country.get("iso_code")) if isinstance(country, dict) else None

    def close(self) -> None:
        """Close the file."""
        if self._reader is not None:
            self._reader.close()


def country_code(value: object) -> str | None:
    """Return an ISO 3166-1 alpha-2 code, or None for anything else, such as `XX` and `T1` of proxies."""
    try:
        return parse_country_code(value)
    except ApiError:
        return None
