import greeting
import hashlib
import os
import ssl
import subprocess
import sys

print("greeting:", greeting.greet())
print("module:", "/nix/store/" in greeting.__file__)
print("hash:", hashlib.new("sha256", b"").hexdigest()[:8], ssl.OPENSSL_VERSION.split()[0])
print("child:", subprocess.check_output([sys.executable, "-c", "print(6 * 7)"]).decode().strip())
print("command:", subprocess.check_output(["cat", greeting.WORDS]).decode().strip())
print("shell:", os.popen("echo from a shell").read().strip())
print("real:", os.path.realpath(greeting.WORDS).endswith("/share/greet/words"))
