"""Makes addresses fit for logs and error messages."""

from __future__ import annotations

from urllib.parse import urlsplit


def redact_url(url: str) -> str:
    """Return *url* without user info, query and fragment, where keys and personal data hide."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "<unreadable address>"
    if not parts.netloc:
        # Without a host, what looks like a path may be `user:password@host`.
        return "<unreadable address>"
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}{'?***' if parts.query else ''}"
