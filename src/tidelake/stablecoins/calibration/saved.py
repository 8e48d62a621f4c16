"""Exponents that a calibration fitted, read from its report."""

import math
from pathlib import Path

import msgspec

from tidelake.errors import ConfigError
from tidelake.stablecoins.score import Exponents


class Report(msgspec.Struct):
    """What is wanted of a `CalibrationReport`."""

    fitted: Exponents


def read_exponents(path: Path) -> Exponents:
    """The fitted exponents of a report of `stablecoins calibrate`, as `--format json` writes it.

    Raises:
        ConfigError: The file is none, or an exponent is below zero or not finite.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Report).fitted
    except (OSError, msgspec.MsgspecError) as exc:
        raise ConfigError(f"{path} is no report of `stablecoins calibrate` in JSON: {exc}") from exc
    if not all(math.isfinite(power) and power >= 0 for power in msgspec.structs.astuple(found)):
        raise ConfigError(f"{path}: an exponent is below zero or not finite: {found.version}")
    return found
