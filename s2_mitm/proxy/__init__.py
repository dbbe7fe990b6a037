"""What mitmproxy shows and does: detection, annotation, content view, injection."""
