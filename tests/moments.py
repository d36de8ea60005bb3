"""Scripts that a test ends at a moment it chooses, however busy the machine is.

The script says each moment (``say``); after the one that its test waits for it goes on to the next, and there
waits for a signal. So it is always ended in the middle of its work, and never at quite the same place.
"""

import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

_AWAITED = "TEST_AWAITS"  # the moment after which the script is to be ended: a regular expression
_PATIENCE = 300  # seconds; a script whose test has gone must end

if _AWAITED in os.environ:
    # Python writes a byte here for every signal that it handles, so that none goes unnoticed before the wait.
    _came, _note = os.pipe()
    os.set_blocking(_note, False)
    signal.set_wakeup_fd(_note)
_passed = False


def say(moment):
    """Print ``moment``; if the awaited one has been said before, wait for a signal."""
    global _passed
    sys.stdout.write(f"{moment}\n")  # in one piece: of several processes, print() mixes the lines
    sys.stdout.flush()
    if _passed:
        select.select([_came], [], [], _PATIENCE)
    _passed = _passed or (_AWAITED in os.environ and bool(re.fullmatch(os.environ[_AWAITED], moment)))


def python(script, *arguments):
    """The command that runs ``script`` with this Python."""
    return [sys.executable, *map(str, (script, *arguments))]


def until(moment, command):
    """Run ``command`` until it says ``moment``; returns it running, with its errors on ``stdout`` too."""
    process = subprocess.Popen(
        command,
        env=_environment(**{_AWAITED: moment}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = []
    for line in process.stdout:
        said.append(line)
        if re.fullmatch(moment, line.strip()):
            return process
    raise AssertionError(f"{moment!r} was never said, but\n{''.join(said)}")


def kill_at(moment, command):
    """Run ``command`` and kill it between ``moment`` and the next one."""
    process = until(moment, command)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def finish(command):
    """Run ``command`` to its end; returns what it printed, and its errors."""
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def _environment(**more):
    here = str(Path(__file__).parent)  # scripts in other folders import this module
    path = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, **more}
