"""Sinks for services of AWS, and where dead letters are stored."""

from __future__ import annotations

from tablestream.sinks.s3 import S3DeadLetters

__all__ = ["S3DeadLetters"]
