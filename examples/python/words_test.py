import os
import ssl
import sqlite3
import sys
import unittest

import words


class WordsTest(unittest.TestCase):
    def test_counts(self):
        self.assertEqual(words.count("a b a"), {"a": 2, "b": 1})

    def test_runs_on_the_pinned_interpreter(self):
        self.assertEqual(sys.version_info[:3], (3, 11, 2))
        self.assertIn("cotter_python_x86_64_linux", sys.executable)

    def test_the_standard_library_is_whole(self):
        self.assertTrue(ssl.OPENSSL_VERSION.startswith("OpenSSL 3"))
        self.assertEqual(sqlite3.connect(":memory:").execute("select 6 * 7").fetchone(), (42,))
        self.assertTrue(os.path.exists(os.__file__))


if __name__ == "__main__":
    unittest.main()
