"""SHA-256 by OpenSSL, through a C++ module."""

from _digest import sha256

__all__ = ["sha256"]
