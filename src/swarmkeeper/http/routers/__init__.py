"""The API's routers, one for each resource. Frequently called routes are in http/hot.py."""
