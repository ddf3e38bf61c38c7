"""Counts words."""

import collections


def count(text):
    """Returns how often each word stands in a text, the most frequent first."""
    return dict(sorted(collections.Counter(text.split()).items(), key=lambda item: (-item[1], item[0])))
