"""The same question, asked by the standard library's own runner."""

import sys
import unittest


class Interpreter(unittest.TestCase):
    def test_interpreter_lies_in_the_pinned_repository(self):
        self.assertIn("cotter_python_", sys.executable)
