"""`jupyter console`, typed into by a machine."""

import os
import re
import sys

import pexpect
from conftest import KERNEL

# A first cell may wait for the kernel to warm up.
SECONDS = 300


def test_a_person_types_rust_and_magics(tmp_path):
    console = pexpect.spawn(
        sys.executable,
        ["-m", "jupyter", "console", "--simple-prompt", f"--kernel={KERNEL}"],
        cwd=tmp_path,
        env={**os.environ, "TERM": "dumb", "NO_COLOR": "1"},
        encoding="utf-8",
        timeout=SECONDS,
    )
    try:
        console.expect(r"In \[1\]:")
        console.sendline("let x = 20 + 1;")
        console.expect(r"In \[2\]:")
        console.sendline("x * 2")
        console.expect(r"Out\[2\]:\s*42")
        console.expect(r"In \[3\]:")
        console.sendline("%lsmagic")
        console.expect(re.escape("%kg"))
        console.expect(r"In \[4\]:")
        console.sendline('let y: u32 = "text";')
        console.expect("mismatched types")
        console.expect(r"In \[5\]:")
        console.sendeof()
        console.expect("really want to exit")
        console.sendline("y")
        console.expect(pexpect.EOF)
    finally:
        console.close(force=True)
