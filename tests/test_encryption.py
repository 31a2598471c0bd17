"""Encryption of what the service must read again, and its keys."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from service.credentials.encryption import KEY_FILE, Encryption, EncryptionError, keys_of

FIRST, SECOND = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def test_what_is_encrypted_can_be_read_again_and_differs_each_time() -> None:
    encryption = Encryption(FIRST)
    one, other = encryption.encrypt(b"secret"), encryption.encrypt(b"secret")
    assert one != other
    assert b"secret" not in one
    assert encryption.decrypt(one) == encryption.decrypt(other) == b"secret"


def test_a_changed_content_is_rejected() -> None:
    content = bytearray(Encryption(FIRST).encrypt(b"secret"))
    content[20] ^= 1
    with pytest.raises(EncryptionError):
        Encryption(FIRST).decrypt(bytes(content))


def test_keys_rotate() -> None:
    before = Encryption(FIRST).encrypt(b"secret")
    both = Encryption(f"{SECOND}, {FIRST}")
    assert both.decrypt(before) == b"secret"
    after = both.rotated(before)
    assert Encryption(SECOND).decrypt(after) == b"secret"
    with pytest.raises(EncryptionError, match="no encryption key fits"):
        Encryption(FIRST).decrypt(after)
    with pytest.raises(EncryptionError, match="no encryption key fits"):
        Encryption(SECOND).rotated(before)


@pytest.mark.parametrize("keys", ["", " , ", "short", "!" * 44])
def test_keys_of_another_form_are_rejected(keys: str) -> None:
    with pytest.raises(EncryptionError, match=r"openssl rand|no key"):
        Encryption(keys)


def test_the_key_of_a_folder_is_created_once_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with ThreadPoolExecutor(16) as threads:
        found = set(threads.map(keys_of, [folder] * 64))
    assert len(found) == 1
    assert Encryption(found.pop()).decrypt(Encryption(keys_of(folder)).encrypt(b"x")) == b"x"
    assert (folder / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in folder.iterdir()] == [KEY_FILE]
