from datetime import datetime


def order(item):
    return {"item": item, "at": datetime.utcnow()}


def age_seconds(order):
    return (datetime.utcnow() - order["at"]).total_seconds()
