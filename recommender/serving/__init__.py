"""Serve a published version over HTTP, from a snapshot that is mapped into memory, without Spark and without Java."""
