from datetime import datetime, timedelta


def new_session(user, minutes=30):
    return {"user": user, "until": datetime.utcnow() + timedelta(minutes=minutes)}


def is_over(session):
    return datetime.utcnow() >= session["until"]
