"""The exit status of the SAM CLI says nothing: what it printed tells whether the function failed."""

from __future__ import annotations

import pytest

from tests.e2e.sam import NoAnswerError, read_answer

IMPORT_ERROR = '{"errorMessage": "No module named \'shop\'", "errorType": "Runtime.ImportModuleError", "requestId": ""}'


def test_an_answer_is_the_last_line() -> None:
    done = read_answer('something\n{"batchItemFailures": []}\n', "the log")

    assert (done.answer, done.error, done.log) == ({"batchItemFailures": []}, None, "the log")


def test_a_function_that_was_never_imported_has_failed() -> None:
    assert read_answer(IMPORT_ERROR, "").error == ("Runtime.ImportModuleError", "No module named 'shop'")


def test_an_error_without_words_is_an_error() -> None:
    assert read_answer('{"errorType": "Sandbox.Timedout"}', "").error == ("Sandbox.Timedout", "")


@pytest.mark.parametrize("output", ["", "\n", "Function 'Worker' timed out after 60 seconds"])
def test_no_answer_is_an_error_that_shows_the_log(output: str) -> None:
    with pytest.raises(NoAnswerError, match="the function did not answer:\nthe log"):
        read_answer(output, "the log")
