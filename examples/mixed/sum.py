"""Prints the SHA-256 of standard input."""

import sys

import digest

print(digest.sha256(sys.stdin.buffer.read()).hex())
