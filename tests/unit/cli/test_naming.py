"""Errors about programs name their file."""

import pytest

from qmio_jupyter.cli.naming import naming_files
from qmio_jupyter.errors import DeviceError, ProgramError, QmioError, TaskFailedError


@pytest.mark.parametrize(
    ("message", "names", "named"),
    [
        ("line 1: no", ["a.qasm"], "a.qasm: line 1: no"),
        ("task t-1 failed: line 1: no", ["a.qasm"], "task t-1 failed: a.qasm: line 1: no"),
        ("task t-1 failed: program 2 of 2: no", ["a.qasm", "b.qasm"], "task t-1 failed: b.qasm: no"),
        ("program 3 of 3: no", ["a.qasm", "b.qpy", "b.qpy"], "b.qpy, circuit 2: no"),
        ("the layout fits none", ["a.qasm", "b.qasm"], "the layout fits none"),
        ("a.qasm is empty", ["a.qasm"], "a.qasm is empty"),
        ("program 9 of 9: no", ["a.qasm", "b.qasm"], "program 9 of 9: no"),
    ],
)
def test_the_file_is_named_once(message, names, named):
    for error in (
        ProgramError(message, hint="Do it.", code="program.syntax"),
        TaskFailedError(message, code="program.unsupported"),
    ):
        with pytest.raises(QmioError) as caught, naming_files(names):
            raise error
        assert caught.value is error
        assert error.message == named
        assert named in error.one_line()


def test_other_errors_stay_as_they_are():
    with pytest.raises(DeviceError) as caught, naming_files(["a.qasm"]):
        raise DeviceError("no such device")
    assert caught.value.message == "no such device"
