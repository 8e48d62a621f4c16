"""The bus of fresh rows: in-process or over Redis Streams, and the streams derived from it."""
