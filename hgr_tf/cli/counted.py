"""Numbers of things, as commands print them."""


def counted(number: int, noun: str) -> str:
    """Such as "1 row" and "1,000 rows"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
