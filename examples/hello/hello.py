"""Run by the pinned interpreter: says which one that is."""

import ssl
import sys

print(f"hello from Python {sys.version.split()[0]} at {sys.executable}, with {ssl.OPENSSL_VERSION}")
