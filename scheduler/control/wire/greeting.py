"""Checks that the listener at a citizen's socket is its owner: an agent can put any socket into its home."""

from collections.abc import Mapping
from typing import Any

from scheduler.control.wire import messages
from scheduler.errors import Disconnected, Refused, WrongOwner
from scheduler.system.unix_socket import HomeSocket, Peer, home_id


def check_user(at: HomeSocket, peer: Peer | None) -> None:
    """Raise WrongOwner if the listener runs neither as the home's user nor as root."""
    if peer and not at.allows(peer):
        raise WrongOwner(
            f"{at.citizen}: what listens at {at.path} (pid {peer.pid}) runs as user {peer.uid}, "
            "neither the home's user nor root: remove that socket"
        )


def checked_greeting(message: Mapping[str, Any], at: HomeSocket) -> messages.Greeting:
    """The greeting of this home's owner in this version; raises Disconnected for anything else."""
    greeting = greeting_of(message, at.citizen)
    if greeting.citizen != at.citizen or greeting.home not in ("", home_id(at.home)):
        whose = "another home" if greeting.citizen == at.citizen else f"the citizen {greeting.citizen!r}"
        raise WrongOwner(
            f"{at.citizen}: what listens at {at.path} is the owner of {whose} (pid {greeting.pid}): "
            "remove that socket"
        )
    return greeting


def greeting_of(message: Mapping[str, Any], citizen: str) -> messages.Greeting:
    """The greeting of an owner in this version; raises Disconnected for anything else."""
    if isinstance(error := message.get("error"), dict):
        raise Refused(f"{citizen}: {error.get('message', 'refused')}")
    if message.get("method") != "hello":
        raise Disconnected("what listens there is not the owner of a citizen")
    greeting = messages.typed(messages.Greeting, message.get("params"))
    if greeting.protocol != messages.PROTOCOL:
        raise Refused(
            f"its owner (pid {greeting.pid}) speaks version {greeting.protocol} of the protocol, "
            f"this is version {messages.PROTOCOL}: restart the older of the two"
        )
    return greeting
