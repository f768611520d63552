"""As much of Lambda's context as the functions ask for."""

from __future__ import annotations


class Context:
    """The context of an invocation that has a minute."""

    function_name = "bench"
    function_version = "1"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:bench"
    aws_request_id = "00000000-0000-0000-0000-000000000001"

    def get_remaining_time_in_millis(self) -> int:
        """Return a minute."""
        return 60_000
