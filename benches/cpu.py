"""The processor time of one process, in nanoseconds and also once it has ended: wall time tells little on a busy machine."""

import ctypes
import os
import subprocess
import time

_libc = ctypes.CDLL(None)


def cpu_of(pid):
    """The seconds that all threads of a process have run."""
    clock = ctypes.c_int()
    if _libc.clock_getcpuclockid(pid, ctypes.byref(clock)) != 0:
        raise ProcessLookupError(pid)
    return time.clock_gettime(clock.value)


def cpu_of_command(command):
    """The seconds that a command runs, from its start to its end."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    seconds = cpu_of(process.pid)
    if process.wait() != 0:
        raise subprocess.CalledProcessError(process.returncode, command)
    return seconds
