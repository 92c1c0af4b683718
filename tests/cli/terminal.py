"""The command as people and scripts call it: at a terminal, and away from one."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys

BUNDLE = (sys.executable, "-c", "from bundler.cli.main import main; main()")


def talk(answers: list[tuple[str, str]], *arguments: str) -> tuple[int, str]:
    """Exit status, and all that is seen, of the command on a terminal at which somebody answers one question after
    the other, and once more where nothing comes of it: what is typed while a terminal changes its mode may be lost."""
    child, terminal = pty.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # which a shell's job in the background ignores
        os.execv(sys.executable, [*BUNDLE, *arguments])
    seen, since, left, said, silent = "", "", list(answers), "", 0
    with contextlib.suppress(OSError):  # the end of a terminal
        while True:
            if select.select([terminal], [], [], 0.3)[0]:
                piece = os.read(terminal, 4096).decode()
                seen, since, silent = seen + piece, since + piece, 0
                continue
            silent += 1
            if left and left[0][0] in since:
                since, said = "", left.pop(0)[1]
                os.write(terminal, said.encode())
            elif said and not since and silent % 20 == 0:
                os.write(terminal, said.encode())
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), seen


def away_from_one(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([*BUNDLE, *arguments], capture_output=True, text=True, check=False, input=stdin)
