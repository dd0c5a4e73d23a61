"""An empty restic repository whose password is checked in no time: restic takes half a second for its own."""

import base64
import hashlib
from pathlib import Path

PASSWORD = "correct horse"
# As `restic init` makes it, but for the cost of the key: N, r and p are the smallest there are.
_KEY = (
    '{"created": "2026-11-23T15:52:05.971952582Z", "username": "opus", "hostname": "vault", "kdf"'
    ': "scrypt", "N": 2, "r": 1, "p": 1, "salt": "vD9vuL22jIsqRiLFpnIrY0xWXSbKgg6j9beI9cBRoSgqg34'
    'ihKYvGI7qC6IQ58V+f19ufy5L20ow61QhfV7M0Q==", "data": "Y9iYMzSNkeP0sIu+ju8jfq3nLEvSsb71ivERkts'
    "fUVCJHHzTtkjeR9jkbkSWmncFmTCL8O31gnpWHMgzQUyIhF4rOfntyiPNb3ecbJIsCGulUCqhljHuxqA8hOpZu502lm4"
    'SoHAQ+w4Y+wvc3XO5lZmsRArkmeaRBDBfx38j70hD6mkS44CLVi789FOeTbJC/hftgZuw2wgEwkZi4Z1qcA=="}'
)
_CONFIG = (
    "oXskou5bZTH3T5moqvCAui+XQA0DmSX7zLWMFm0JMocZGIQfT3e9qtpaLjxtVOxVeOwdPxT/0wuXngRejNlRChYVhF96"
    "ZA/8X4SUBRa0RUW9s5XMluoJbo/g7c9N5llnrYHPsL2/XwWRouw0hdhBQKj3sn0ZgC/8iRKT1R6dGKxr2FejqafXoj0Q"
    "Ki1q/3kJxKNUqVcABN2v5vI="
)


def quick_repository(place: Path) -> Path:
    """Make it there."""
    for folder in ("data", "index", "keys", "locks", "snapshots"):
        (place / folder).mkdir(parents=True)
    (place / "keys" / hashlib.sha256(_KEY.encode()).hexdigest()).write_text(_KEY)
    (place / "config").write_bytes(base64.b64decode(_CONFIG))
    return place
