"""What holds for every test, wherever it runs."""

from __future__ import annotations

from hypothesis import settings


def test_no_example_depends_on_the_speed_of_the_machine_nor_on_an_earlier_run() -> None:
    assert settings.get_current_profile_name() == "everywhere"
    used = settings()
    assert (used.deadline, used.derandomize, used.database) == (None, True, None)
