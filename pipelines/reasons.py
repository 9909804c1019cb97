"""Every reason for which a row goes to the dead letters."""

from __future__ import annotations

MISSING = "missing"
OUT_OF_RANGE = "label outside its range"
NEGATIVE = "negative weight"
UNMATCHED = "id is not in the table"
OUT_OF_TIME = "time outside the years 1 to 9999, or what 64 bits of its unit hold"
UNDECODABLE = "undecodable text"
NOT_INTEGER = "not an integer"
NOT_NUMBER = "not a number"
NON_FINITE = "non-finite number"
NOT_SCALAR = "not a single value"
NOT_LIST = "neither a value nor a list of values"
WRONG_COUNT = "wrong number of columns"
MALFORMED_LINE = "malformed line"
MALFORMED_JSON = "malformed JSON object"
