"""What one RM and one CEM say to each other, in order, and what is to be said of it.

A conversation is what two peers know of each other: who is who, which version and control type
they agreed on, what the RM has described, what the CEM has instructed, and which messages wait for
their answer. Each message can only be understood, and judged, by those before it.

- ``memory`` is that knowledge: `Conversation`. Rules read it, and nothing but this folder changes
  it.
- ``judging`` is who asks: `Judge`. A message is first judged, by itself and by the rules, in the
  light of the conversation as it was before it. Then it is taken in or discarded.
- ``listening`` follows a conversation without judging it: `Listener`.

Three things change a conversation, and all of them are in this folder:

- **A message that was delivered** is taken in. What it says counts from then on, also where parts
  of it are wrong. A message that did not reach its receiver, whoever held it back, says nothing to
  anybody: it is discarded. Of a message that was changed on its way, the sender is judged by what
  came, and memory takes what went.
- **A message that came**, delivered or not, shows which side the WebSocket client is.
- **Time that passes** makes answers overdue. Time comes in with each message, and with each tick.

What was said of a message, such as a finding that is to be said only once, is remembered by the
judge, whether the message was delivered or not.

This file imports nothing: rules import what is in this folder, and the judge imports the rules.
"""
