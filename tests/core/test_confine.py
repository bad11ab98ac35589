"""The filter of system calls, run by a small machine of the test's own, for every machine that is known."""

import errno
import struct

import pytest

from malmoi.core import sandbox
from malmoi.core.confine import build_filter, known_calls
from malmoi.core.sandbox import Limits, SandboxFailed

ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
PID = 4321
HERE = "sandbox_functions"


def decide(program: bytes, number: int, architecture: int, arguments: tuple[int, ...] = ()) -> int:
    """What the filter returns for a call (classic BPF: load, jump if equal, return)."""
    padded = (*arguments, *(0,) * (6 - len(arguments)))
    call = struct.pack("=IIQ6Q", number, architecture, 0, *padded)
    steps = [struct.unpack_from("=HBBI", program, place) for place in range(0, len(program), 8)]
    place, loaded = 0, 0
    while True:
        code, if_equal, otherwise, value = steps[place]
        place += 1
        if code == 0x20:
            (loaded,) = struct.unpack_from("=I", call, value)
        elif code == 0x15:
            place += if_equal if loaded == value else otherwise
        else:
            assert code == 0x06
            return value


@pytest.mark.parametrize("machine", sorted(known_calls()))
def test_what_computing_needs_is_allowed_and_nothing_else(machine: str) -> None:
    known = known_calls()[machine]
    program = build_filter(known, PID)
    allowed = set(known["allowed"].values())
    assert len(allowed) == len(known["allowed"])
    refused = ERRNO | errno.EPERM
    for number in range(600):
        found = decide(program, number, known["audit"])
        if number in (known["clone3"], known["prlimit64"], known["tgkill"]):
            continue
        assert found == (ALLOW if number in allowed else refused), number
    assert decide(program, 0, known["audit"] ^ 1) == KILL
    assert decide(program, known["clone3"], known["audit"]) == ERRNO | errno.ENOSYS


@pytest.mark.parametrize("machine", sorted(known_calls()))
def test_limits_are_only_read_and_only_oneself_is_signalled(machine: str) -> None:
    known = known_calls()[machine]
    program = build_filter(known, PID)
    refused = ERRNO | errno.EPERM
    assert decide(program, known["prlimit64"], known["audit"], (0, 7, 0, 4096)) == ALLOW
    assert decide(program, known["prlimit64"], known["audit"], (0, 7, 4096, 0)) == refused
    assert decide(program, known["prlimit64"], known["audit"], (0, 7, 1 << 40, 0)) == refused
    assert decide(program, known["tgkill"], known["audit"], (PID, PID, 6)) == ALLOW
    assert decide(program, known["tgkill"], known["audit"], (1, 1, 9)) == refused


def test_the_older_system_calls_of_x86_64_are_refused() -> None:
    known = known_calls()["x86_64"]
    program = build_filter(known, PID)
    assert decide(program, 0x40000000 | 41, known["audit"]) == ERRNO | errno.EPERM  # x32's socket


def test_a_confined_child_computes_and_changes_nothing(tmp_path: object) -> None:
    limits = Limits(confined=True, file_bytes=1000)
    assert sandbox.run(f"{HERE}:echo", {"text": "말모이"}, limits=limits).value == {"text": "말모이"}
    with pytest.raises(SandboxFailed, match="PermissionError"):
        sandbox.run(f"{HERE}:write_file", {"path": f"{tmp_path}/out"}, limits=limits)
    with pytest.raises(SandboxFailed, match="PermissionError"):
        sandbox.run(f"{HERE}:leave_a_grandchild", {}, limits=limits)
    assert sandbox.run(f"{HERE}:dial", {"port": 9}, limits=limits).value is False


def test_an_answer_that_is_not_ours_is_a_crash() -> None:
    with pytest.raises(SandboxFailed, match="exit status 0") as caught:
        sandbox.run(f"{HERE}:forge", {})
    assert caught.value.reason == "crash"
