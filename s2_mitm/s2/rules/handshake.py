"""How a conversation begins: the handshakes of both sides, and the version that the CEM selects."""

from __future__ import annotations

from collections.abc import Iterator

from s2_mitm.s2.catalog import (
    VERSIONS,
    State,
    earliest_state,
    known_version,
    plain_version,
)
from s2_mitm.s2.conversation.memory import BEGINNING, Conversation
from s2_mitm.s2.conversation.message import Message
from s2_mitm.s2.rules.common.crossing import may_cross
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Role, Severity
from s2_mitm.s2.wording import quoted


@rule("handshake.not-seen", Severity.INFO)
def not_seen(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The beginning of the conversation was not seen.

    The proxy was put in between, or the recording begins, when the two had already exchanged
    messages. These are unknown, so that references to them cannot be checked.

    Where: a bound of s2-mitm, which knows only what it has seen.
    Why: It says what cannot be found, not that something is wrong.
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


@rule("handshake.missing", Severity.INFO)
def missing(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The conversation begins without a handshake.

    Without S2 Connect both sides send a Handshake first, and the CEM selects the version with a
    HandshakeResponse. With S2 Connect all this is agreed before the WebSocket opens, and there is
    none. It is reported once, with the first message that needs a handshake: whoever sends that
    without a Handshake of its own will not send one any more. What follows is judged as if the
    handshake had been made, in whatever version it fits.

    Where: States of Communication (flexiblepower/s2-documentation): only Handshake and
    HandshakeResponse come first. S2 Connect 1.0.0 (docs.s2standard.org), Communication - JSON
    messages: with S2 Connect they cannot be sent.
    Why: It is right with S2 Connect, and that cannot be seen here. Where the WebSocket was opened
    with a bearer token, as S2 Connect does, it is not said at all.
    Wrong:
        rm("ResourceManagerDetails")
    Right:
        rm("Handshake")
        cem("Handshake")
        cem("HandshakeResponse")
        rm("ResourceManagerDetails")
    Do: Without S2 Connect, begin with a Handshake from each side.
    """
    if _is_early(message, conversation) and not _is_begun(message, conversation):
        yield Found(
            "/message_type",
            f"{message.message_type} without any handshake; that is right with S2 Connect only",
            once="beginning",
        )


@rule("handshake.unfinished", Severity.WARNING)
def unfinished(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The conversation goes on before the handshake is complete.

    Both sides send a Handshake, then the CEM selects the version with a HandshakeResponse. Until
    then neither knows what the other understands, and many peers refuse whatever comes before. It
    is reported once; what follows is judged as if the handshake had been made.

    Where: States of Communication (flexiblepower/s2-documentation): the table of the messages that
    can be sent while the WebSocket is connected, but not initialized.
    Why: The table does not have the message there, but no sentence forbids it. What may have
    crossed the other side's Handshake is not reported.
    Wrong:
        rm("Handshake")
        rm("ResourceManagerDetails")
    Right:
        rm("Handshake")
        cem("Handshake")
        cem("HandshakeResponse")
        rm("ResourceManagerDetails")
    Do: Wait for the HandshakeResponse before you send anything but your Handshake.
    """
    if _is_early(message, conversation) and _is_begun(message, conversation):
        absent = [f"the {role}'s Handshake" for role in Role if role not in conversation.handshakes]
        if message.message_type != "HandshakeResponse":
            absent.append("the HandshakeResponse")
        text = f"{message.message_type} before {' and '.join(absent)}"
        yield Found("/message_type", text, once="beginning")


def _is_early(message: Message, conversation: Conversation) -> bool:
    """Whether a message needs the handshake, which is not complete."""
    return (
        conversation.state < State.INITIALISED
        and conversation.state < earliest_state(message.message_type, message.sender)
        and conversation.from_start
        and not conversation.bearer
        and not conversation.undelivered & BEGINNING
        and not conversation.unreadable  # which may have been the handshake
    )


def _is_begun(message: Message, conversation: Conversation) -> bool:
    """Whether the sender of a message knows that there is a handshake in this conversation."""
    if message.message_type == "HandshakeResponse" or message.sender in conversation.handshakes:
        return True
    other = conversation.handshakes.get(message.sender.other)
    return other is not None and not may_cross(message, other, conversation)


@rule("handshake.no-versions", Severity.ERROR, ["Handshake"], statements=["N16"], alone=True)
def no_versions(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The RM does not say which versions it supports.

    The CEM selects one of the versions that the RM offers; without any it has nothing to select.

    Where: Handshake: supported_protocol_versions, mandatory for the RM.
    Why: The schema says that it is mandatory for the RM.
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
            'Add "supported_protocol_versions" with yours, such as ["0.0.2-beta"] or ["1.0.0"].',
        )


@rule("handshake.twice", Severity.WARNING, ["Handshake"])
def twice(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A second Handshake from the same side.

    A conversation has one handshake. What the receiver does with another one is not defined: some
    start again, some ignore it. One that was refused does not count, nor does what comes after a
    SessionRequest (state.after-the-end).

    Where: States of Communication (flexiblepower/s2-documentation): a handshake is made once, at
    the start.
    Why: No sentence forbids a second one, and none says what it means.
    Wrong:
        rm("Handshake")
        rm("Handshake")
    Right:
        rm("Handshake")
        cem("Handshake")
    Do: Open a new connection to start again.
    """
    if before := _first(conversation.handshakes.get(message.sender), conversation):
        yield Found(
            "/message_type", f"a second Handshake; {before.name(message.time)} was the first"
        )


def _first(before: Message | None, conversation: Conversation) -> Message | None:
    """The one before a message that makes it a second one, if it counts."""
    if before is None or before.number in conversation.refused_handshakes:
        return None
    return before if conversation.ending is None else None


@rule("handshake.same-role", Severity.ERROR, ["Handshake"])
def same_role(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The Handshake names a role that its sender does not have.

    One side is the RM, the other the CEM. When both claim the same role, neither gets the
    messages that it waits for.

    Where: Handshake: role, the role of the sender.
    Why: The field names the role of the sender, and a session has one RM and one CEM.
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

    Where: HandshakeResponse: selected_protocol_version, and Handshake: supported_protocol_versions.
    Why: The RM lists what it supports, and no version that it does not support can be spoken with
    it. A leading v is no difference; every other is.
    Wrong:
        rm("Handshake", supported_protocol_versions=["0.0.2-beta"])
        cem("Handshake")
        cem("HandshakeResponse", selected_protocol_version="1.0.0")
    Right:
        rm("Handshake", supported_protocol_versions=["0.0.2-beta", "1.0.0"])
        cem("Handshake", supported_protocol_versions=None)
        cem("HandshakeResponse", selected_protocol_version="1.0.0")
    Do: Select from the list in the RM's Handshake; close the connection if there is none to select.
    """
    handshake, offered = conversation.handshakes.get(Role.RM), _offered(conversation)
    selected = message.content.text("selected_protocol_version")
    if handshake is not None and not _is_offered(message, conversation):
        yield Found(
            "/selected_protocol_version",
            f"version {quoted(selected or '')} is not among those that"
            f" {handshake.name(message.time)} offers: {', '.join(map(quoted, offered[:10]))}",
        )


def _offered(conversation: Conversation) -> list[str]:
    """The versions that the RM offers, where it is known."""
    field, handshake = "supported_protocol_versions", conversation.handshakes.get(Role.RM)
    if handshake is None or handshake.is_doubtful(f"/{field}"):
        return []
    return handshake.content.texts(field)


def _is_offered(message: Message, conversation: Conversation) -> bool:
    """Whether the RM may speak the version that a HandshakeResponse selects."""
    selected, offered = message.content.text("selected_protocol_version"), _offered(conversation)
    # A v before a version is no difference: S2 Connect writes it, most handshakes do not.
    names = {plain_version(version) for version in offered}
    return selected is None or not offered or plain_version(selected) in names


@rule("handshake.unknown-version", Severity.WARNING, ["HandshakeResponse"], alone=True)
def unknown_version(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The handshake selects a version that s2-mitm does not know.

    The two sides may well understand each other; s2-mitm does not know what their version has
    changed, and takes for right what fits any version that it knows (0.0.2-beta, 1.0.0).

    Where: HandshakeResponse: selected_protocol_version.
    Why: No text lists the versions that there may be, but no published one has this name.
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
            " what fits one of these is taken for right",
        )


@rule("handshake.response-twice", Severity.WARNING, ["HandshakeResponse"])
def response_twice(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The version is selected a second time.

    The conversation has its version already, and goes on in it. What the RM does with another
    HandshakeResponse is not defined. One that was refused does not count.

    Where: docs.s2standard.org, States of communication: HandshakeResponse is a message of the
    state before the session is initialized.
    Why: It selects the same once more, and no sentence forbids that.
    Wrong:
        begin()
        cem("HandshakeResponse")
    Right:
        begin()
    Do: Send it once, in answer to the RM's Handshake.
    """
    before = _response_before(message, conversation)
    if before is not None and _same_version(message, before):
        yield Found(
            "/message_type",
            f"a second HandshakeResponse; {before.name(message.time)} was the first",
        )


@rule("handshake.version-changed", Severity.ERROR, ["HandshakeResponse"])
def version_changed(message: Message, conversation: Conversation) -> Iterator[Found]:
    """Another version is selected than before.

    What was said so far was said in the version that was selected first. The two sides may now
    speak different ones.

    Where: docs.s2standard.org, States of communication: HandshakeResponse is a message of the
    state before the session is initialized. HandshakeResponse: selected_protocol_version.
    Why: The table does not have it in a session that is initialized, and a session has one version.
    Wrong:
        rm("Handshake", supported_protocol_versions=["0.0.2-beta", "1.0.0"])
        cem("Handshake", supported_protocol_versions=["0.0.2-beta", "1.0.0"])
        cem("HandshakeResponse", selected_protocol_version="0.0.2-beta")
        cem("HandshakeResponse", selected_protocol_version="1.0.0")
    Right:
        rm("Handshake", supported_protocol_versions=["0.0.2-beta", "1.0.0"])
        cem("Handshake", supported_protocol_versions=["0.0.2-beta", "1.0.0"])
        cem("HandshakeResponse", selected_protocol_version="0.0.2-beta")
    Do: Close the connection, and select the other version in a new one.
    """
    before = _response_before(message, conversation)
    if before is None or _same_version(message, before):
        return
    # Of a version that was not offered that is said, and who comes back from one puts it right.
    if _is_offered(message, conversation) and _is_offered(before, conversation):
        selected = before.content.text("selected_protocol_version") or ""
        yield Found(
            "/selected_protocol_version",
            f"another version than {quoted(selected)}, which {before.name(message.time)} selected",
        )


def _response_before(message: Message, conversation: Conversation) -> Message | None:
    """The HandshakeResponse before this one, which the CEM alone may send."""
    if message.sender is not Role.CEM:
        return None
    return _first(conversation.response, conversation)


def _same_version(message: Message, before: Message) -> bool:
    """Whether two select the same version; what is not readable is no other one."""
    field = "selected_protocol_version"
    now, then = message.content.text(field), before.content.text(field)
    return now is None or then is None or plain_version(now) == plain_version(then)
