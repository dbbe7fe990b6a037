"""Everything that replaces a part of mitmproxy, a file a part."""
