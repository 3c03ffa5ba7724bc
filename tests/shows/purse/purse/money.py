"""Sums of money, counted in cents."""


def parse(text):
    """Cents from a text such as `12.50`."""
    whole, _, rest = text.strip().partition(".")
    sign = -1 if whole.startswith("-") else 1
    return int(whole or 0) * 100 + sign * int(f"{rest:0<2}"[:2] or 0)


def show(cents):
    """A text such as `12.50` from cents."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02}"


def share(cents, parts):
    """The part of each, when some share a sum."""
    return cents // parts
