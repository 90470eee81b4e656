from datetime import UTC, date, datetime


def first_line(title):
    return f"{title}, {datetime.utcnow():%Y-%m-%d}"


def day(text):
    return datetime.combine(date.fromisoformat(text), datetime.min.time(), tzinfo=UTC)
