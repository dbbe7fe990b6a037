"""How a conversation begins: the handshakes of both sides, and the version that the CEM selects."""

from __future__ import annotations

from collections.abc import Iterator

from s2_mitm.s2.catalog import (
    VERSIONS,
    State,
    closest_version,
    earliest_state,
    known_version,
    plain_version,
)
from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Role, Severity
from s2_mitm.s2.wording import quoted

HANDSHAKES = {"Handshake", "HandshakeResponse"}


@rule("handshake.not-seen", Severity.INFO)
def not_seen(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The beginning of the conversation was not seen.

    The proxy was put in between, or the recording begins, when the two had already exchanged
    messages. These are unknown, so that references to them cannot be checked.

    Where: nothing is wrong with the conversation.
    Wrong:
        joined_late()
        rm("PowerMeasurement")
    Right:
        begin()
        rm("PowerMeasurement")
    Do: Let the RM connect again when you want everything checked.
    """
    if not conversation.from_start and conversation.state < earliest_state(
        message.message_type, message.sender
    ):
        yield Found(
            "",
            "the beginning of this conversation was not seen; what it says of things"
            " that were said before cannot be checked",
            once="beginning",
        )


@rule("handshake.missing", Severity.WARNING)
def missing(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The conversation goes on without the handshake.

    Both sides send a Handshake, then the CEM selects the version with a HandshakeResponse. Until
    then neither knows what the other understands, and many peers refuse whatever comes before. It
    is reported once; what follows is judged as if the handshake had been made.

    Where: the states of S2 0.0.2-beta. From 1.0.0-beta on the version can be agreed before the
    WebSocket opens (S2 Connect), and a missing handshake is no fault: which it is here, only the
    two sides know.
    Wrong:
        rm("ResourceManagerDetails")
    Right:
        rm("Handshake")
        cem("Handshake")
        cem("HandshakeResponse")
        rm("ResourceManagerDetails")
    Do: Wait for the HandshakeResponse before you send anything but your Handshake.
    """
    if (
        conversation.from_start
        and not conversation.undelivered & HANDSHAKES
        and conversation.state < State.INITIALISED
        and conversation.state < earliest_state(message.message_type, message.sender)
    ):
        absent = [f"the {role}'s Handshake" for role in Role if role not in conversation.handshakes]
        if message.message_type != "HandshakeResponse":
            absent.append("the HandshakeResponse")
        text = f"{message.message_type} before {' and '.join(absent)}"
        yield Found("/message_type", text, once="beginning")


@rule("handshake.no-versions", Severity.ERROR, ["Handshake"], statements=["N16"], alone=True)
def no_versions(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The RM does not say which versions it supports.

    The CEM selects one of the versions that the RM offers; without any it has nothing to select.

    Where: Handshake.supported_protocol_versions, mandatory for the RM (N16).
    Wrong:
        rm("Handshake", supported_protocol_versions=None)
    Right:
        rm("Handshake", supported_protocol_versions=["0.0.2-beta"])
    Do: List the versions in the RM's Handshake.
    """
    field = "supported_protocol_versions"
    if message.sender is not Role.RM or message.is_doubtful(f"/{field}"):
        return
    if not message.content.has(field):
        yield Found(
            "",
            "the RM's Handshake must say which versions it supports",
            'Add "supported_protocol_versions": ["0.0.2-beta"].',
        )


@rule("handshake.twice", Severity.WARNING, ["Handshake"])
def twice(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A second Handshake from the same side.

    A conversation has one handshake. What the receiver does with another one is not defined: some
    start again, some ignore it.

    Where: the states of S2 0.0.2-beta.
    Wrong:
        rm("Handshake")
        rm("Handshake")
    Right:
        rm("Handshake")
        cem("Handshake")
    Do: Open a new connection to start again.
    """
    if before := conversation.handshakes.get(message.sender):
        yield Found(
            "/message_type", f"a second Handshake; {before.name(message.time)} was the first"
        )


@rule("handshake.same-role", Severity.ERROR, ["Handshake"])
def same_role(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The Handshake names a role that its sender does not have.

    One side is the RM, the other the CEM. When both claim the same role, neither gets the
    messages that it waits for.

    Where: Handshake.role is the role of the sender.
    Wrong:
        rm("Handshake")
        cem("Handshake", role="RM")
    Right:
        rm("Handshake")
        cem("Handshake", role="CEM")
    Do: Look at which of the two is configured with the wrong role.
    """
    role = message.content.text("role")
    if role in set(Role) and role != message.sender:
        why = conversation.handshakes.get(message.sender.other)
        because = f": {why.name(message.time)} has it already" if why else ""
        yield Found("/role", f'role "{role}" in a Handshake from the {message.sender}{because}')


@rule("handshake.version-not-offered", Severity.ERROR, ["HandshakeResponse"])
def version_not_offered(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The CEM selects a version that the RM did not offer.

    The RM need not understand it, and closes the connection or misreads what follows.

    Where: HandshakeResponse.selected_protocol_version is one of those in the RM's Handshake.
    Wrong:
        rm("Handshake", supported_protocol_versions=["0.0.2-beta"])
        cem("Handshake")
        cem("HandshakeResponse", selected_protocol_version="1.0.0")
    Right:
        rm("Handshake", supported_protocol_versions=["0.0.2-beta", "1.0.0"])
        cem("Handshake")
        cem("HandshakeResponse", selected_protocol_version="1.0.0")
    Do: Select from the list in the RM's Handshake; close the connection if there is none to select.
    """
    handshake = conversation.handshakes.get(Role.RM)
    selected = message.content.text("selected_protocol_version")
    if handshake is None or selected is None:
        return
    if handshake.is_doubtful("/supported_protocol_versions"):
        return
    offered = handshake.content.texts("supported_protocol_versions")
    # A v before a version is no difference: S2 Connect writes it, most handshakes do not.
    names = {plain_version(version) for version in offered}
    if offered and plain_version(selected) not in names:
        yield Found(
            "/selected_protocol_version",
            f"version {quoted(selected)} is not among those that {handshake.name(message.time)}"
            f" offers: {', '.join(map(quoted, offered[:10]))}",
        )


@rule("handshake.unknown-version", Severity.WARNING, ["HandshakeResponse"], alone=True)
def unknown_version(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The handshake selects a version that s2-mitm does not know.

    The two sides may well understand each other; s2-mitm holds their messages against the closest
    version that it knows, and may be wrong about what the other changed.

    Where: HandshakeResponse.selected_protocol_version.
    Wrong:
        rm("Handshake", supported_protocol_versions=["0.3"])
        cem("Handshake")
        cem("HandshakeResponse", selected_protocol_version="0.3")
    Right:
        rm("Handshake")
        cem("Handshake")
        cem("HandshakeResponse", selected_protocol_version="0.0.2-beta")
    Do: Give the schemas of that version with s2_schemas.
    """
    selected = message.content.text("selected_protocol_version")
    if selected is not None and not known_version(selected) and not conversation.settings.schemas:
        yield Found(
            "/selected_protocol_version",
            f"version {quoted(selected)} is not one that s2-mitm knows ({', '.join(VERSIONS)});"
            f" messages are held against {closest_version(selected)}, the closest",
        )
