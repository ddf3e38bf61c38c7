"""Prints as JSON how often each word stands in a file."""

import json
import sys

import words

with open(sys.argv[1], encoding="utf-8") as file:
    print(json.dumps(words.count(file.read()), indent=2))
