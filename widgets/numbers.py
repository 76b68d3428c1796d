"""How numbers, bars and names are written, the same everywhere. Widths are cells of the screen."""

from rich.cells import cell_len, set_cell_size

EIGHTHS = " ▏▎▍▌▋▊▉"
MINUS = "−"


def bar(share: float, width: int) -> str:
    """A bar of up to `width` cells, in eighths of a cell; anything above nothing shows."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    if share > 0 and eighths == 0:
        eighths = 1
    full, rest = divmod(eighths, 8)
    return ("█" * full + (EIGHTHS[rest] if rest else "")).ljust(width)


def signed(value: float, form: str) -> str:
    """A change with its sign, a true minus, and no sign on zero."""
    text = format(abs(value), form)
    if not any(digit in text for digit in "123456789"):
        return f"±{text}"
    return f"{MINUS if value < 0 else '+'}{text}"


def plain(value: float, form: str) -> str:
    """A number with a true minus."""
    return format(value, form).replace("-", MINUS)


def ratio(value: float, digits: int = 3) -> str:
    """A number in 0..1 without its leading zero: .614."""
    text = f"{value:.{digits}f}"
    return text[1:] if text.startswith("0.") else text


def percent(share: float) -> str:
    """A share as whole percent; below 0.5 % but not nothing is <1 %."""
    text = f"{share:.0%}"
    return "<1%" if share > 0 and text == "0%" else text


def duration(seconds: float | None) -> str:
    """Minutes and seconds, or hours and minutes."""
    if seconds is None:
        return ""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 60}:{whole % 60:02d}"


def shortened(text: str, width: int) -> str:
    """Text of at most `width` cells in one line, with an ellipsis where it was longer."""
    if not text.isprintable():  # names of files and folders can hold line ends
        text = "".join(letter if letter.isprintable() else "?" for letter in text)
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1) + "…" if width > 0 else ""


def fitted(text: str, width: int) -> str:
    """Text of exactly `width` cells: shortened, or with spaces behind it."""
    short = shortened(text, width)
    return short + " " * (width - cell_len(short))
