"""Every limit on names, texts, and numbers of objects. Inputs, statements, and settings take their limits from here.

Lengths are in characters, unless the name says otherwise. A test compares them with the constraints of the database.
"""

from __future__ import annotations

from typing import Final

# Texts
NAME: Final = 255  # names of people, plans, roles, and servers; external ids
KEY_NAME: Final = 31  # names of API keys and SSH keys
DESCRIPTION: Final = 1024
SUSPENSION_REASON: Final = 1024
USERNAME: Final = 191  # the operator's policy may allow less
EMAIL: Final = 254  # RFC 5321, section 4.5.3.1.3
LANGUAGE: Final = 15
PASSWORD: Final = 512  # bounds what is hashed; the operator's policy decides what is long enough
LOGIN: Final = 254  # a username or an email address
SSH_PUBLIC_KEY: Final = 16_384
TWO_FACTOR_CODE: Final = 64  # of a second factor, with the spaces and dashes that people enter
TOKEN: Final = 128  # valid once; its own form is shorter
PASSKEY_CREDENTIAL: Final = 16_384  # bytes of JSON
USER_AGENT: Final = 255
IDEMPOTENCY_KEY: Final = 255
SEARCH: Final = 128
LOOKUP_KEY: Final = 512
AUTOLOGIN_REASON: Final = 1024
ADJUSTMENT_REASON: Final = 1024
AUDIENCE: Final = 255
EVENT_NAME: Final = 64
ADDRESS_LINE: Final = 256
ADDRESS_NAME: Final = 128  # company and city
ADDRESS_STATE: Final = 64
POSTAL_CODE: Final = 20

# Numbers of objects
API_KEYS_PER_USER: Final = 50
SSH_KEYS_PER_USER: Final = 50
PASSKEYS_PER_USER: Final = 20
RECOVERY_CODES: Final = 10
SUBUSERS_PER_SERVER: Final = 100
WALLETS_PER_USER: Final = 20
DEDICATED_IPS_PER_USER: Final = 50
NETWORKS_PER_API_KEY: Final = 50
PERMISSIONS_PER_ROLE: Final = 200
PERMISSIONS_PER_API_KEY: Final = 200
PERMISSIONS_PER_SUBUSER: Final = 100
SETTINGS_MEMBERS: Final = 256
FILTER_VALUES: Final = 100
USERS_AT_ONCE: Final = 100  # that one mutation changes
NODES_PER_QUERY: Final = 100
MAILS_PER_HOUR: Final = 10  # of one kind to one recipient
ACCOUNTS_PER_DAY: Final = 20  # by createSubuser, for callers who may not create users
LIST_ITEMS: Final = 1_000  # of any list in the variables
REQUEST_ITEMS: Final = 10_000  # of all lists in the variables of an operation

RETIRED_USERNAME_DAYS: Final = 180  # until people can choose the username of a deleted user
PERSONAL_DATA_ROWS: Final = 1_000  # of each kind in the document of exportMyData

# Pages
PAGE_SIZE: Final = 100
DEFAULT_PAGE_SIZE: Final = 20
OFFSET: Final = 10_000  # the skipped rows are read, too
EXACT_COUNT: Final = 10_000  # a longer list is estimated

# Values
INT32: Final = 2_147_483_647
SAFE_INTEGER: Final = 2**53 - 1  # RFC 8259, section 6: the integers that every JSON client reads exactly
JSON_DEPTH: Final = 16
URL: Final = 2048
AGE: Final = 122  # the oldest age that has been verified

# Times in seconds
ACCESS_TOKEN: Final = 900  # the longest lifetime that an operator may set
API_KEY_GRACE: Final = 30 * 86_400
AUTOLOGIN_LINK: Final = 60
RECENT_AUTHENTICATION: Final = 900
USERS_AT_ONCE_TIME: Final = 20  # of a request, after which a mutation on many users begins no further one
TWO_FACTOR_LOGIN: Final = 300  # between the password and the second factor
TWO_FACTOR_SETUP: Final = 3_600  # between a new secret and its first code
PASSKEY_CEREMONY: Final = 300  # between the options and the answer of the authenticator
EMAIL_UNDO: Final = 7 * 86_400
INVITATION: Final = 7 * 86_400
PASSWORD_RESET: Final = 3_600
VERIFICATION: Final = 86_400
