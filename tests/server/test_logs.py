"""The log's format, and what must never be in it."""

import logging
import logging.config
import re
import threading
from collections.abc import Iterator

import pytest
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser

from pinakes import logs

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (debug|info|warning|error|critical) [\w.]+ \d+ \S")


@pytest.fixture
def record() -> logging.LogRecord:
    return logging.LogRecord("pinakes.server", logging.INFO, __file__, 1, "worker %d started", (2,), None)


def raised() -> BaseException:
    try:
        try:
            raise KeyError("hunter2")
        except KeyError as exc:
            raise ValueError("patient hunter2") from exc
    except ValueError as exc:
        return exc


def test_a_line_has_time_level_source_process_and_message(record: logging.LogRecord) -> None:
    line = logs.Formatter().format(record)
    assert LINE.match(line)
    assert line.endswith(" info pinakes.server " + str(record.process) + " worker 2 started")


def test_an_exception_is_its_types_and_places_without_messages(record: logging.LogRecord) -> None:
    error = raised()
    record.exc_info = (type(error), error, error.__traceback__)
    written = logs.Formatter().format(record)
    assert "builtins.ValueError at " in written
    assert "because of builtins.KeyError at " in written
    assert "raised" in written
    assert "hunter2" not in written


def test_of_other_packages_only_the_first_line_is_kept(record: logging.LogRecord) -> None:
    record.msg, record.args, record.name = (
        "Task exception was never retrieved\nfuture: ValueError('hunter2')",
        (),
        "asyncio",
    )
    written = logs.Formatter().format(record)
    assert written.endswith("asyncio " + str(record.process) + " Task exception was never retrieved")


@pytest.mark.parametrize(("level", "shown"), [("debug", 3), ("info", 2), ("warning", 1), ("error", 0)])
def test_the_level_decides_what_is_written(
    level: str, shown: int, capfd: pytest.CaptureFixture[str], restored: None
) -> None:
    logging.config.dictConfig(logs.configuration(level))
    logger = logging.getLogger("pinakes.something")
    logger.debug("one")
    logger.info("two")
    logger.warning("three")
    out, err = capfd.readouterr()
    assert out == ""
    assert len(err.splitlines()) == shown
    assert all(LINE.match(line) for line in err.splitlines())


def test_a_malformed_form_is_not_quoted(capfd: pytest.CaptureFixture[str], restored: None) -> None:
    logging.config.dictConfig(logs.configuration("debug"))
    parser = MultipartParser(b"edge", {})
    with pytest.raises(MultipartParseError):
        parser.write(b"hunter2")
    assert capfd.readouterr().err == ""


def test_a_thread_that_fails_is_logged_without_its_message(capfd: pytest.CaptureFixture[str], restored: None) -> None:
    logging.config.dictConfig(logs.configuration("info"))
    logs.hide_messages()

    def fail() -> None:
        raise ValueError("hunter2")

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    err = capfd.readouterr().err
    assert "a thread failed: builtins.ValueError at " in err
    assert "hunter2" not in err


@pytest.fixture
def restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Puts logging and the hooks back as they were."""
    root = logging.getLogger()
    ours = [logging.getLogger("pinakes"), logging.getLogger("_granian"), root]
    before = [(logger, logger.level, list(logger.handlers)) for logger in ours]
    monkeypatch.setattr("sys.excepthook", None)
    monkeypatch.setattr("threading.excepthook", None)
    monkeypatch.setattr(logging, "captureWarnings", lambda _: None)
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers
