"""A script that runs one program for subprocesses.py, and ends it with all that it started.

    python -c … FOLDER CONTROL STATUS PARENT TIMEOUT GRACE PROGRAM [ARGUMENT …]

Theory. The process that started a program may die at once (SIGKILL, out of memory) and then cannot end the program. So
this small process runs between the two, as leader of the program's session and process group. It waits for three
events: the program's end, the timeout, and the end of the pipe CONTROL. The parent holds the pipe's other end: it
closes when the parent closes it, and also when the parent dies. A forked process may keep a copy of that end open, so
this process also checks each second that its parent is still PARENT.

Then the whole group gets SIGTERM, GRACE seconds later SIGKILL. On Linux this process is the reaper of its descendants
(prctl(2), PR_SET_CHILD_SUBREAPER): a process that left the group (setsid, a double fork) becomes its child and is
killed, too. On other systems such a process escapes. On every system a process escapes that runs as another user, or
that a daemon started for the program (Docker, systemd, at).

STATUS gets one line: `exit CODE WHY`, where WHY says what ended the program (`itself`, `timeout` or `parent`); or
`errno NUMBER` if the program could not be started. It imports little, because the program's start waits for it.
"""

import os
import select
import signal
import sys

POLL_SECONDS = 1.0
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of linux/prctl.h
_OURS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # sent to the group; its leader, this process, ignores them
# Reset in the program: Python ignores the first two, and the program would inherit that.
_DEFAULTS = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD, signal.SIGALRM, *_OURS)


def main(arguments: list[str]) -> None:
    control, status, parent = (int(word) for word in arguments[:3])
    timeout, grace = (float(word) for word in arguments[3:5])
    for own in (control, status):
        os.set_inheritable(own, False)
    signals = _signals_by_pipe()
    _adopt_descendants()
    try:
        answer = _watch(_start_program(arguments[5:]), control, signals, parent, timeout, grace)
    except OSError as error:
        answer = f"errno {error.errno}"
    try:
        os.write(status, answer.encode() + b"\n")
    except OSError:
        pass  # the parent is dead, which is why the program was ended
    finally:
        _kill_descendants()
        os.killpg(0, signal.SIGKILL)  # this process, too


def _signals_by_pipe() -> int:
    """Return the reading end of a pipe that gets the number of each signal."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for number in (signal.SIGCHLD, signal.SIGALRM):
        signal.signal(number, lambda _number, _frame: None)
    for number in _OURS:
        signal.signal(number, signal.SIG_IGN)
    return reader


def _adopt_descendants() -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def _start_program(program: list[str]) -> int:
    child = os.posix_spawnp(program[0], program, os.environ, setsigdef=_DEFAULTS, setsigmask=())
    # Close the program's files here: their readers must see the end when the program ends.
    nothing = os.open(os.devnull, os.O_RDWR)
    for own in range(3):
        os.dup2(nothing, own)
    os.close(nothing)
    return child


def _watch(child: int, control: int, signals: int, parent: int, timeout: float, grace: float) -> str:
    """Wait for the program's end, or bring it about; return the line for STATUS."""
    code: int | None = None
    why = "itself"
    signal.setitimer(signal.ITIMER_REAL, timeout)
    while True:
        ending = why != "itself"
        ready = select.select([signals] if ending else [signals, control], [], [], POLL_SECONDS)[0]
        received = os.read(signals, 512) if signals in ready else b""
        if signal.SIGCHLD in received:
            found, childless = _reap(child)
            code = code if found is None else found
            # While ending, all that the program started has GRACE seconds to end by itself.
            if childless or (code is not None and not ending):
                break
        if ending and signal.SIGALRM in received:
            break
        if not ending:
            if signal.SIGALRM in received:
                why = "timeout"
            elif control in ready or os.getppid() != parent:
                why = "parent"
            if why != "itself":
                os.killpg(0, signal.SIGTERM)
                signal.setitimer(signal.ITIMER_REAL, max(grace, 0.001))
    return f"exit {-signal.SIGKILL if code is None else code} {why}"


def _reap(child: int) -> tuple[int | None, bool]:
    """Return the program's exit code if it has just ended, and whether no descendant is left."""
    code = None
    try:
        while (ended := os.waitpid(-1, os.WNOHANG))[0] != 0:
            if ended[0] == child:
                code = os.waitstatus_to_exitcode(ended[1])
    except ChildProcessError:
        return code, True
    return code, False


def _kill_descendants() -> None:
    """Kill processes that left the group: orphans become children of this process, one generation per round."""
    while not _reap(0)[1] and (children := _children()):
        for each in children:
            try:
                os.kill(each, signal.SIGKILL)
            except ProcessLookupError:
                pass
            except PermissionError:
                return  # it runs as another user; its descendants stay with it
        try:
            os.waitpid(-1, 0)
            _reap(0)
        except ChildProcessError:
            return


def _children() -> list[int]:
    """Return the ids of this process's children; empty if the system has no /proc."""
    try:
        # It may leave out some if others end meanwhile, but is empty only if there is none: so ask until it is empty.
        with open(f"/proc/self/task/{os.getpid()}/children", "rb") as children:  # noqa: PTH123
            return [int(child) for child in children.read().split()]
    except OSError:
        return _children_among_all()


def _children_among_all() -> list[int]:
    """The same where the kernel has no list of them: look at each process of the system."""
    own, found = os.getpid(), []
    try:
        # Importing pathlib would take longer than everything else.
        processes = [name for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208
    except OSError:
        return []
    for name in processes:
        try:
            with open(f"/proc/{name}/stat", "rb") as stat:  # noqa: PTH123
                fields = stat.read().rpartition(b")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        if int(fields[1]) == own:
            found.append(int(name))
    return found
