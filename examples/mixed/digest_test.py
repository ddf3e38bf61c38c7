import hashlib
import sys
import unittest

import digest


class DigestTest(unittest.TestCase):
    def test_agrees_with_hashlib(self):
        for text in [b"", b"cotter", b"x" * 100_000]:
            self.assertEqual(digest.sha256(text), hashlib.sha256(text).digest())

    def test_runs_on_the_pinned_interpreter(self):
        self.assertEqual(sys.version_info[:3], (3, 11, 2))
        self.assertIn("cotter_python_x86_64_linux", sys.executable)


if __name__ == "__main__":
    unittest.main()
