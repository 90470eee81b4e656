"""The log writes one line per event, without secrets."""

import io
import json
import logging

from swarmkeeper.govern.redaction.redactor import Redactor
from swarmkeeper.govern.rulebook import Rulebook
from swarmkeeper.observe.logs import Log, take_over

RULES = Rulebook(Redactor.default())
SECRET = "swk_8OIO7EeOSZ_nyDThDZShlz3oHyT01zEOS6u6QTPQfhqGBEYBGpnuhR_28GW6E"
NOON = 1_790_000_000_000_000


def log_to(stream: io.StringIO, *, level: str = "info", as_json: bool = True) -> Log:
    return Log(stream, RULES, lambda: NOON, level=level, as_json=as_json)


def test_an_event_is_one_line_of_json_with_its_time_and_level() -> None:
    stream = io.StringIO()

    log_to(stream)("store_unavailable", error="disk\nfull", tries=3)

    assert json.loads(stream.getvalue()) == {
        "at": "2026-09-21T14:13:20.000Z",
        "level": "warning",
        "event": "store_unavailable",
        "error": "disk\nfull",
        "tries": 3,
    }
    assert stream.getvalue().count("\n") == 1


def test_no_secret_reaches_the_log_in_values_names_tracebacks_or_library_logs() -> None:
    stream = io.StringIO()
    log = log_to(stream)
    put_back = take_over(log)
    try:
        try:
            raise ValueError(f"bad key {SECRET}")
        except ValueError as error:
            log("fault", exception=error, detail={"nested": [SECRET]}, password="hunter2")
            logging.getLogger("a.library").exception("it said %s", SECRET)
    finally:
        put_back()

    written = stream.getvalue()
    assert SECRET not in written
    assert SECRET[15:40] not in written
    assert "hunter2" not in written
    assert written.count("ValueError") >= 2


def test_lines_of_access_with_their_query_strings_are_not_written() -> None:
    stream = io.StringIO()
    put_back = take_over(log_to(stream, level="debug"))
    try:
        logging.getLogger("uvicorn.access").info('GET /tasks?api_key=%s HTTP/1.1" 200', SECRET)
        logging.getLogger("httpx2").info("HTTP Request: GET http://x/?%s", SECRET)
    finally:
        put_back()

    assert stream.getvalue() == ""


def test_lines_below_the_level_are_left_out() -> None:
    stream = io.StringIO()
    log = log_to(stream, level="warning")

    log("tick")
    log("request", path="/tasks")
    assert stream.getvalue() == ""
    log("engine_ended")
    assert "engine_ended" in stream.getvalue()


def test_text_for_people_stays_on_its_line_without_control_characters() -> None:
    stream = io.StringIO()

    log_to(stream, as_json=False)("noted", detail="a\x1b[31mred\nline")

    assert "\x1b" not in stream.getvalue()
    assert stream.getvalue().count("\n") == 1


def test_a_log_without_a_reader_does_not_stop_the_server() -> None:
    stream = io.StringIO()
    log = log_to(stream)
    stream.close()

    log("noted")
    log("noted")


def test_the_hosts_logging_setup_is_restored() -> None:
    before = list(logging.getLogger().handlers)

    take_over(log_to(io.StringIO()))()

    assert logging.getLogger().handlers == before


class Full(io.StringIO):
    """A stream on a full device, until it is emptied."""

    is_full = True

    def write(self, text: str) -> int:
        if self.is_full:
            raise OSError(28, "No space left on device")
        return super().write(text)


def test_lines_that_cannot_be_written_are_counted_and_reported_later() -> None:
    stream = Full()
    log = log_to(stream)
    for _ in range(3):
        log("store_unavailable", error="one")

    stream.is_full = False
    log("listening")
    log("listening")

    written = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert log.lost == 3
    assert [(line["event"], line.get("count")) for line in written] == [
        ("listening", None),
        ("log_lines_lost", 3),
        ("listening", None),
    ]
