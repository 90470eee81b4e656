"""The API's records: requests, answers, problems and events, and the strict JSON parser."""
