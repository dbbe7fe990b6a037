"""What mitmproxy's own content views show of a message, in version 11 and in 12."""

from __future__ import annotations

from typing import Any

from mitmproxy import contentviews

API: Any = contentviews
IS_12 = hasattr(contentviews, "Contentview")


def shown(message: Any, flow: Any, view: str = "auto") -> tuple[str, str]:
    """The view that mitmproxy chooses for a message, and its text."""
    if IS_12:
        result = API.prettify_message(message, flow, view)
        assert result.view_name is not None
        assert "failed" not in result.description
        return result.view_name, result.text
    name, lines, error = API.get_message_content_view(view, message, flow)
    text = "\n".join("".join(text for _style, text in line) for line in lines)
    assert error is None, error
    return name, text
