"""A page that tells which interpreter serves it."""

import argparse
import platform
import sys

from flask import Flask, jsonify

app = Flask(__name__)


@app.route("/")
def hello():
    return jsonify(greeting="Hello from a pinned interpreter", executable=sys.executable, version=platform.python_version())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=5000)
    app.run(host="127.0.0.1", port=parser.parse_args().port)
