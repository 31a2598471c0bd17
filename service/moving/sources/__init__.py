"""The readers of other systems' tables, by the name of the system."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from service.moving.records import Source
from service.moving.sources import calagopus, eclipanel, lnbits, openpanel, pterodactyl

SOURCES: Final[Mapping[str, Source]] = MappingProxyType(
    {
        "pterodactyl": pterodactyl.read,
        "calagopus": calagopus.read,
        "openpanel": openpanel.read,
        "lnbits": lnbits.read,
        "eclipanel": eclipanel.read,
    }
)
# The tables that a reader asks for, and the columns that it reads
TABLES: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = MappingProxyType(
    {
        "pterodactyl": pterodactyl.TABLES,
        "calagopus": calagopus.TABLES,
        "openpanel": openpanel.TABLES,
        "lnbits": lnbits.TABLES,
        "eclipanel": eclipanel.TABLES,
    }
)
